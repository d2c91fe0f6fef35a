import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { API_VERSION_HEADER } from "../../src/contract/api-version.ts";
import { type CliOptions, type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

/** The CLI and the MCP server of a user on another host: all they have is a URL and a key. */

let daemon: DaemonFixture;
let url: string;
let key: string;
/** Where a daemon of the user's own would be, if one were started. */
let ownHome: string;
before(async () => {
  daemon = await startDaemonFixture();
  ({ key } = await daemon.client.keys.create({ name: "user" }));
  url = (await daemon.client.listen({ address: "127.0.0.1:0" })).url as string;
  ownHome = path.join(daemon.folder, "own");
});
after(() => daemon.close());

function cli(args: string[], env: NodeJS.ProcessEnv = {}, options: CliOptions = {}) {
  const remote = { FIREBREAK_URL: url, FIREBREAK_API_KEY: key, FIREBREAK_HOME: ownHome };
  return daemon.cli(args, { ...options, env: { ...remote, ...env } });
}

/** A server that is no daemon of ours, or another version's. */
async function withServer(listener: http.RequestListener, work: (url: string) => Promise<void>): Promise<void> {
  const server = http.createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("commands are of the daemon that FIREBREAK_URL names, and start none here", async () => {
  const status = await cli(["daemon", "status", "--json"]);
  assert.equal(JSON.parse(status.stdout).pid, (await daemon.client.status()).pid);
  assert.match((await cli(["daemon", "status"])).stdout, new RegExp(`home +${daemon.paths.home}\n`));
  for (const args of [
    ["vm", "list"],
    ["image", "list"],
    ["kernel", "list"],
    ["template", "list"],
    ["event", "list"],
  ]) {
    const listed = await cli([...args, "--json"]);
    assert.equal(listed.exitCode, 0, listed.stderr);
  }
  assert.equal(existsSync(ownHome), false);
});

test("what is for the daemon's own host is refused, and says where it is done", async () => {
  for (const args of [
    ["key", "list"],
    ["key", "create"],
  ]) {
    const refused = await cli(args);
    assert.deepEqual([refused.exitCode, /LOCAL_CALLERS_ONLY/.test(refused.stderr)], [5, true]);
  }
  for (const verb of ["start", "stop"]) {
    const refused = await cli(["daemon", verb]);
    assert.deepEqual([refused.exitCode, /FIREBREAK_URL/.test(refused.stderr)], [2, true]);
  }
});

test("a key that is missing, wrong or none at all is told apart, and is not shown", async () => {
  const cases: [string, number, RegExp][] = [
    ["", 5, /API_KEY_MISSING/],
    [`fbk_${"x".repeat(43)}`, 5, /API_KEY_INVALID/],
    ["two words\n", 2, /INVALID_ARGUMENT/],
  ];
  for (const [wrong, exitCode, words] of cases) {
    const refused = await cli(["vm", "list"], { FIREBREAK_API_KEY: wrong });
    assert.equal(refused.exitCode, exitCode, refused.stderr);
    assert.match(refused.stderr, words);
    if (wrong !== "") assert.ok(!refused.stderr.includes(wrong.trim()));
  }
  const json = await cli(["vm", "list", "--json"], { FIREBREAK_API_KEY: `fbk_${"x".repeat(43)}` });
  assert.equal(JSON.parse(json.stderr).error.class, "unauthenticated");
});

test("a URL that is none, and a host that is not reached, are named", async () => {
  for (const wrong of ["127.0.0.1:9600", "ftp://127.0.0.1", "http://user:secret@127.0.0.1:1"]) {
    const refused = await cli(["vm", "list"], { FIREBREAK_URL: wrong });
    assert.deepEqual([refused.exitCode, /FIREBREAK_URL/.test(refused.stderr)], [2, true], wrong);
    assert.ok(!refused.stderr.includes("secret"));
  }
  const free = net.createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as net.AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  for (const wrong of [`http://127.0.0.1:${port}`, "http://nowhere.invalid:9600", url.replace("http:", "https:")]) {
    const refused = await cli(["vm", "list"], { FIREBREAK_URL: wrong });
    assert.deepEqual([refused.exitCode, /DAEMON_UNAVAILABLE/.test(refused.stderr)], [7, true], wrong);
    assert.ok(refused.stderr.includes(new URL(wrong).host), refused.stderr);
  }
});

test("a server that is no daemon, and a daemon of another version, are told so", async () => {
  const answers: [http.OutgoingHttpHeaders, number, RegExp][] = [
    [{}, 200, /no firebreak daemon/],
    [{}, 502, /no firebreak daemon/],
    [{ [API_VERSION_HEADER]: "99" }, 200, /speaks API 99/],
    [{ [API_VERSION_HEADER]: "99" }, 401, /speaks API 99/],
  ];
  for (const [headers, status, words] of answers) {
    const answer: http.RequestListener = (_request, response) => response.writeHead(status, headers).end("<html>");
    await withServer(answer, async (other) => {
      const refused = await cli(["vm", "list"], { FIREBREAK_URL: other });
      assert.equal(refused.exitCode, 7, refused.stderr);
      assert.match(refused.stderr, words);
    });
  }
});

test("a VM is made, used and deleted from another host: streams, files, console", async () => {
  const ran = await cli(["run", "--", "sh", "-c", "cat; echo oops >&2; exit 3"], {}, { input: "through the network" });
  assert.deepEqual([ran.exitCode, ran.stdout], [3, "through the network"]);
  assert.match(ran.stderr, /oops/);
  assert.equal((await cli(["vm", "create", "far"])).exitCode, 0);
  const file = path.join(daemon.folder, "file");
  await writeFile(file, "x".repeat(3_000_000));
  assert.equal((await cli(["vm", "cp", file, "far:/root/file"])).exitCode, 0);
  const summed = await cli(["vm", "exec", "far", "--", "wc", "-c", "/root/file"]);
  assert.match(summed.stdout, /^3000000 /);
  assert.equal((await cli(["vm", "cp", "far:/root/file", `${file}.back`])).exitCode, 0);
  assert.ok((await readFile(`${file}.back`)).equals(await readFile(file)));
  assert.equal((await cli(["vm", "logs", "far"])).exitCode, 0);
  const missing = await cli(["vm", "exec", "far", "--", "no-such-command"]);
  assert.deepEqual([missing.exitCode, /COMMAND_NOT_FOUND/.test(missing.stderr)], [127, true]);
  const upload = await cli(["vm", "cp", file, "nobody:/root/file"]);
  assert.deepEqual([upload.exitCode, /VM_NOT_FOUND/.test(upload.stderr)], [3, true]);
  assert.equal((await cli(["vm", "delete", "far"])).exitCode, 0);
  assert.equal(existsSync(ownHome), false);
});

test("a command goes with its caller, whom the network or a revoked key takes away", async () => {
  await daemon.client.vms.create({ name: "cut" });
  const made = await daemon.client.keys.create({ name: "cut" });
  const running = cli(["vm", "exec", "cut", "--", "sleep", "600"], { FIREBREAK_API_KEY: made.key });
  const runs = async () => (await daemon.client.execs.list("cut")).some(({ state }) => state === "running");
  await waitFor(runs);
  await daemon.client.keys.revoke("cut");
  const ended = await running;
  assert.equal(ended.exitCode, 125, ended.stderr);
  await waitFor(async () => !(await runs()));
});

test("the MCP server works with a daemon on another host", async () => {
  const request = (id: number, method: string, params: object) =>
    `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;
  const input =
    request(1, "initialize", {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    }) +
    `${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n` +
    request(2, "tools/call", { name: "vm_list", arguments: {} });
  const served = await cli(["serve", "mcp"], {}, { input });
  const last = JSON.parse(served.stdout.trim().split("\n").at(-1) as string);
  assert.equal(last.id, 2);
  assert.ok(!last.result.isError, served.stdout);
  assert.equal(existsSync(ownHome), false);
});

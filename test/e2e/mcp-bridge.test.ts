import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { type CallToolResult, Client, type ClientOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.vms.create({ name: "web" });
});
after(() => fixture.close());

async function openClient(options: ClientOptions, args: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const transport = new StdioClientTransport({
    command: fixture.program,
    args: ["mcp-bridge", ...args],
    env: Object.fromEntries(
      Object.entries({ ...fixture.env, ...env }).filter((pair): pair is [string, string] => pair[1] !== undefined),
    ),
  });
  const client = new Client({ name: "e2e", version: "0" }, options);
  await client.connect(transport);
  return client;
}

const run = async (client: Client, command: string, signal?: AbortSignal) => {
  const options = { timeout: 180_000, ...(signal === undefined ? {} : { signal }) };
  const call = { name: "run_command", arguments: { vm: "web", command } };
  return ((await client.callTool(call, options)) as CallToolResult).structuredContent as Record<string, unknown>;
};

const count = async (pattern: string) =>
  (await fixture.client.execs.list("web")).filter(
    ({ state, argv }) => state === "running" && argv.join(" ").includes(pattern),
  ).length;

async function restartDaemon(): Promise<void> {
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  const started = await fixture.cli(["daemon", "start"]);
  assert.equal(started.exitCode, 0, started.stderr);
}

for (const { era, options } of ERAS) {
  describe(`through the bridge, a client of revision ${era}`, () => {
    let client: Client;
    before(async () => {
      client = await openClient(options);
    });
    after(() => client.close());

    test("runs commands, many at once, and hears of progress", async () => {
      assert.equal(client.getNegotiatedProtocolVersion(), era);
      const outputs = await Promise.all(Array.from({ length: 16 }, (_, index) => run(client, `echo ${index}`)));
      assert.deepEqual(
        outputs.map(({ stdout }) => stdout),
        Array.from({ length: 16 }, (_, index) => `${index}\n`),
      );
      const notes: string[] = [];
      const onprogress = ({ message }: { message?: string }) => void notes.push(message ?? "");
      await fixture.client.vms.suspend("web");
      const call = { name: "run_command", arguments: { vm: "web", command: "true" } };
      await client.callTool(call, { onprogress, timeout: 180_000 });
      assert.match(notes.join("\n"), /bringing the VM 'web' back/);
    });

    test("that cancels a call ends the command", async () => {
      const aborter = new AbortController();
      const running = run(client, "sleep 8201", aborter.signal).catch(() => "cancelled");
      await waitFor(async () => (await count("sleep 8201")) === 1);
      aborter.abort();
      assert.equal(await running, "cancelled");
      await waitFor(async () => (await count("sleep 8201")) === 0);
    });

    test("hears of changes, also those of after a restart of the daemon", async () => {
      const uri = "firebreak://vms/web";
      let updates = 0;
      client.setNotificationHandler("notifications/resources/updated", () => void updates++);
      if (era === "2025-11-25") await client.subscribeResource({ uri });
      else await client.listen({ resourceSubscriptions: [uri] });
      for (const round of [1, 2]) {
        const before = updates;
        await waitFor(async () => {
          await fixture.client.vms.pause("web");
          await fixture.client.vms.resume("web");
          return updates > before;
        });
        if (round === 1) await restartDaemon();
      }
      if (era === "2025-11-25") await client.unsubscribeResource({ uri });
    });

    test("goes on after the daemon was killed, and hears that a call was cut off", async () => {
      assert.equal((await run(client, "echo one")).stdout, "one\n");
      const cutOff = run(client, `sleep 8202; echo ${era}`).then(
        () => "answered",
        (error: Error) => error.message,
      );
      await waitFor(async () => (await count("sleep 8202")) === 1);
      await restartDaemon();
      assert.match(await cutOff, /the daemon ended during the call/);
      assert.equal((await run(client, "echo two")).stdout, "two\n");
      // It has gone on without us.
      for (const { id, argv } of await fixture.client.execs.list("web"))
        if (argv.join(" ").includes("sleep 8202")) await fixture.client.execs.kill("web", id, 0).catch(() => {});
    });

    test("that goes away takes its commands along", async () => {
      const other = await openClient(options);
      const lost = run(other, "sleep 8203").catch(() => "lost");
      await waitFor(async () => (await count("sleep 8203")) === 1);
      await other.close();
      await lost;
      await waitFor(async () => (await count("sleep 8203")) === 0);
    });
  });
}

test("a legacy client that does not wait for the session's beginning is answered all the same", async () => {
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "e2e", version: "0" } };
  const messages = [
    { id: 1, method: "initialize", params },
    { method: "notifications/initialized" },
    { id: 2, method: "tools/call", params: { name: "vm_list", arguments: {} } },
    { id: 3, method: "ping" },
  ];
  const input = messages.map((message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`).join("");
  const { stdout } = await fixture.cli(["mcp-bridge"], { input });
  const answers = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: number; result?: unknown });
  assert.deepEqual(
    answers.map(({ id, result }) => [id, result !== undefined]).sort(),
    [1, 2, 3].map((id) => [id, true]),
    stdout,
  );
});

describe("the bridge to another host's daemon", () => {
  let url: string;
  let keyFile: string;
  before(async () => {
    const { key } = JSON.parse((await fixture.cli(["key", "create", "bridge", "--json"])).stdout) as { key: string };
    keyFile = path.join(fixture.folder, "key");
    await writeFile(keyFile, `${key}\n`, { mode: 0o600 });
    await fixture.client.listen({ address: "127.0.0.1:0" });
    url = String((await fixture.client.status()).listen?.url);
  });

  test("takes its URL and key by flags, and asks for toolsets", async () => {
    for (const { options } of ERAS) {
      const client = await openClient(options, [
        "--url",
        url,
        "--api-key-file",
        keyFile,
        "--toolsets",
        "guest,template",
      ]);
      assert.equal((await run(client, "hostname")).stdout, "web\n");
      const names = (await client.listTools()).tools.map(({ name }) => name);
      assert.ok(names.includes("template_list") && !names.includes("vm_list"), names.join());
      await client.close();
    }
  });

  test("says so when the key is not good, or no daemon is there", async () => {
    const discover = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: {} });
    const ask = async (env: NodeJS.ProcessEnv, args: string[] = []) => {
      const { stdout, stderr, exitCode } = await fixture.cli(["mcp-bridge", ...args], { env, input: `${discover}\n` });
      return { stdout, stderr, exitCode };
    };
    const refused = await ask({ FIREBREAK_URL: url, FIREBREAK_API_KEY: "fbk_wrong" });
    assert.match(refused.stdout, /API_KEY_INVALID/);
    assert.match((await ask({ FIREBREAK_URL: url, FIREBREAK_API_KEY: undefined })).stderr, /API_KEY_MISSING/);
    assert.match((await ask({}, ["--url", url, "--api-key-file", "/no/such"])).stderr, /cannot be read/);
    const unresolved = { FIREBREAK_RUNTIME_DIR: `/tmp/${"x".repeat(120)}` };
    assert.match((await ask(unresolved)).stdout, /SOCKET_PATH_TOO_LONG/);
  });
});

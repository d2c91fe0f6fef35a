import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { Client, SSEClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { AuditCall, AuditPage } from "../../src/contract/audit.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { fixtureProgram } from "../support/mcp-servers/fixture-server.ts";
import { callText, type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { waitFor } from "../support/wait-for.ts";

/** What somebody who runs servers in VMs sees of them and says of them: log, figures, limits, a file that is changed. */

const VALUE = "env-Value-4711-abcdefghij";
let fixture: DaemonFixture;
let open: OpenClient;
let file: string;

/** The file's servers, with what some of them have besides. */
function writeServers(servers: Record<string, string>): void {
  const command = JSON.stringify(["node", "-e", fixtureProgram("legacy")]);
  const tables = Object.entries(servers).map(([name, more]) => `[servers.${name}]\nvm_profile = "fixture"\n${more}\n`);
  const profile = `[profiles.fixture]\ncommand = ${command}\ndisk = "2G"\n`;
  writeFileSync(file, `${profile}\n${tables.join("\n")}`);
}

const SMALL = 'memory = "256M"';
const SERVERS = {
  calm: `${SMALL}\nsecrets = [{ name = "HANDED", expose = "env" }]`,
  changing: SMALL,
  gone: SMALL,
  limited: `${SMALL}\nlimits = { calls_per_minute = 4, concurrent_calls = 2, result_size = "64K" }`,
  kept: `${SMALL}\nresident = true`,
};

before(async () => {
  fixture = await startDaemonFixture();
  writeFileSync(path.join(fixture.paths.home, "firebreak.toml"), "[audit]\narguments = true\n");
  const set = await fixture.cli(["secret", "set", "HANDED", "--expose", "env"], { input: VALUE });
  assert.equal(set.exitCode, 0, set.stderr);
  file = path.join(fixture.folder, "firebreak.toml");
  writeServers(SERVERS);
  const up = await fixture.cli(["up", "--config", file], { timeoutMs: 900_000 });
  assert.equal(up.exitCode, 0, up.stderr);
  open = await serveGateway(fixture);
});
after(() => fixture?.close());

async function withClient<T>(server: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await open(server, ERAS[0]?.options ?? {});
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
const count = (server: string) => withClient(server, (client) => callText(client, "count"));
const vmsOf = async (server: string) => (await fixture.client.servers.get(server)).vms;
const idsOf = async (server: string) =>
  Promise.all((await vmsOf(server)).map(async (name) => (await fixture.client.vms.get(name)).id));
const entriesOf = async (server: string): Promise<AuditCall[]> =>
  (await fixture.json<AuditPage>("audit", "list", "--limit", "100")).entries.filter(
    (entry) => "server" in entry && entry.server === server,
  ) as AuditCall[];

test("each call of a server in a VM is in the audit log: who, which tool, what came of it, and no secret", async () => {
  await withClient("calm", async (client) => {
    await callText(client, "count", { note: `with ${VALUE} in it` });
    await assert.rejects(callText(client, "nothing-of-it"));
    await assert.rejects(callText(client, "crash"));
    await callText(client, "count");
  });
  await waitFor(async () => (await entriesOf("calm")).length >= 4);
  const entries = await entriesOf("calm");
  assert.deepEqual(
    entries.map(({ client, tool, verdict, code }) => [client.principal, client.name, tool, verdict, code]),
    [
      ["one", "e2e", "count", "ok", undefined],
      ["one", "e2e", "nothing-of-it", "denied", "TOOL_NOT_OFFERED"],
      ["one", "e2e", "crash", "failed", "SERVER_FAILED"],
      ["one", "e2e", "count", "ok", undefined],
    ],
  );
  assert.deepEqual(entries[0]?.arguments, { note: "with [secret HANDED] in it" });
  assert.ok(
    (entries[0]?.durationMs ?? 0) > 0 && (entries[0]?.responseBytes ?? 0) > 0 && (entries[0]?.requestBytes ?? 0) > 0,
  );
  assert.ok(!JSON.stringify(entries).includes(VALUE));
  assert.match((await fixture.ok("audit", "verify")).stdout, /\d+ entries/);
});

test("limits of a server hold: calls a minute, calls at once, the size of a result; and are told of by name", async () => {
  await withClient("limited", async (client) => {
    await assert.rejects(
      callText(client, "big", { bytes: 200_000 }),
      /SERVER_PROTOCOL_ERROR: the server 'limited' answered with \d+ bytes, and may with 65536/,
    );
    const aborter = new AbortController();
    const slow = [1, 2].map(() =>
      callText(client, "slow", { steps: 1, ms: 3_600_000 }, { signal: aborter.signal }).catch(() => "given up"),
    );
    await waitFor(async () =>
      /SERVER_BUSY: the server 'limited' takes 2 calls at once/.test(await callText(client, "count").catch(String)),
    );
    aborter.abort();
    assert.deepEqual(await Promise.all(slow), ["given up", "given up"]);
    await waitFor(async () =>
      /SERVER_BUSY: the server 'limited' takes 4 calls a minute/.test(await callText(client, "count").catch(String)),
    );
  });
  assert.ok((await entriesOf("limited")).some(({ verdict, code }) => verdict === "denied" && code === "SERVER_BUSY"));
  // The others have limits of their own.
  assert.ok(Number(await count("changing")) > 0);
});

test("the metrics have each server's calls", async () => {
  const { listen } = await fixture.client.status();
  const { key } = await fixture.json<{ key: string }>("key", "create", "metrics");
  const headers = { authorization: `Bearer ${key}` };
  const text = await (await fetch(new URL("/metrics", String(listen?.url)), { headers })).text();
  const callsOf = (labels: string) =>
    Number(new RegExp(`^firebreak_mcp_calls_total\\{${labels}\\} (\\d+)$`, "m").exec(text)?.[1]);
  assert.equal(callsOf('server="calm",tool="count",verdict="ok"'), 2, text);
  assert.equal(callsOf('server="calm",tool="crash",verdict="failed"'), 1);
  assert.ok(callsOf('server="limited",tool="count",verdict="denied"') >= 2);
  assert.equal(callsOf('server="calm",tool="other",verdict="denied"'), 1);
  assert.match(text, /^firebreak_mcp_call_seconds_count\{server="calm".*\} \d+$/m);
  assert.match(text, /^firebreak_mcp_servers\{state="running"\} [1-9]/m);
  assert.ok(!text.includes(VALUE));
});

test("serve mcp --servers has the tools of all servers, and firebreak's own where they are asked for", async () => {
  for (const [more, hasOwn] of [
    [[], false],
    [["--toolsets", "vm"], true],
  ] as const) {
    const env = Object.fromEntries(
      Object.entries(fixture.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
    );
    const client = new Client({ name: "e2e", version: "0" });
    await client.connect(
      new StdioClientTransport({ command: fixture.program, args: ["serve", "mcp", "--servers", ...more], env }),
      { timeout: 180_000 },
    );
    const names = (await client.listTools()).tools.map(({ name }) => name);
    for (const server of Object.keys(SERVERS))
      assert.ok(names.includes(`${server}__count`), `${server}: ${names.join()}`);
    assert.equal(names.includes("vm_list"), hasOwn);
    assert.ok(Number(await callText(client, "calm__count")) > 0);
    await client.close();
  }
});

test("a tool is called from the command line as by any client", async () => {
  const list = await fixture.ok("server", "call", "calm");
  assert.match(list.stdout, /^count\n {2}does count\n/m);
  assert.match(list.stdout, /^slow \[steps=INTEGER\] \[ms=INTEGER\]$/m);
  const first = Number((await fixture.ok("server", "call", "calm", "count")).stdout);
  assert.equal((await fixture.ok("server", "call", "calm", "calm__count")).stdout, `${first + 1}\n`);
  assert.equal((await fixture.ok("server", "call", "calm", "slow", "steps=1", "ms=1")).stdout, "slept\n");
  const { content } = await fixture.json<{ content: { text: string }[] }>(
    "server",
    "call",
    "calm",
    "big",
    '{"bytes": 3}',
  );
  assert.equal(content[0]?.text, "xxx");
  for (const [args, exitCode, said] of [
    [["calm", "cuont"], 2, /offers no tool 'cuont' \(INVALID_ARGUMENT\)\n {2}Did you mean 'count'/],
    [["calm", "slow", "step=1"], 2, /no argument 'step' .*\n {2}Did you mean 'steps'/],
    [["calmm", "count"], 3, /SERVER_NOT_FOUND\)\n {2}Did you mean 'calm'/],
  ] as const) {
    const failed = await fixture.cli(["server", "call", ...args]);
    assert.match(failed.stderr, said);
    assert.equal(failed.exitCode, exitCode, failed.stderr);
  }
  const crashed = await fixture.cli(["server", "call", "calm", "crash"]);
  assert.equal(crashed.exitCode, 1, crashed.stderr);
  assert.match(crashed.stdout, /SERVER_FAILED: the server 'calm'/);
});

test("a client that knows the transport of 2024 alone works with a server in a VM", async () => {
  const { listen } = await fixture.client.status();
  const { key } = await fixture.json<{ key: string }>("key", "create", "old");
  const headers = { authorization: `Bearer ${key}` };
  const client = new Client({ name: "old", version: "0" }, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Old" } }));
  await client.connect(
    new SSEClientTransport(new URL("/servers/calm/sse", String(listen?.url)), {
      requestInit: { headers },
      eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
    }),
  );
  const before = Number(await count("calm"));
  assert.equal(Number(await callText(client, "count")), before + 1);
  assert.deepEqual(JSON.parse(await callText(client, "ask")), { action: "accept", content: { name: "Old" } });
  let updates = 0;
  client.setNotificationHandler("notifications/resources/updated", () => void updates++);
  await client.subscribeResource({ uri: "test://count" });
  await waitFor(async () => {
    await callText(client, "touch");
    return updates > 0;
  });
  assert.equal((await client.listPrompts()).prompts[0]?.name, "greet");
  await client.close();
  const last = (await entriesOf("calm")).filter(({ client: { name } }) => name === "old");
  assert.ok(
    last.some(({ client: { principal }, tool }) => principal === "old" && tool === "ask"),
    JSON.stringify(last),
  );
});

test("of a file that is changed, only what has changed starts anew: the others keep their VM and what they have in memory", async () => {
  const before = Number(await count("calm"));
  await count("changing");
  await count("gone");
  const [calm, changing, gone] = [await idsOf("calm"), await idsOf("changing"), await idsOf("gone")];
  assert.deepEqual([calm.length, changing.length, gone.length], [1, 1, 1]);
  const { gone: _gone, ...others } = SERVERS;
  writeServers({ ...others, changing: 'memory = "300M"', added: SMALL });
  const all = async () => (await fixture.client.servers.list()).map(({ name }) => name);
  await waitFor(async () => (await all()).includes("added"));
  assert.ok(!(await all()).includes("gone"));
  await waitFor(async () => (await fixture.client.servers.get("added")).state === "stopped", 300_000);
  await waitFor(async () => (await fixture.client.servers.get("changing")).state === "stopped", 300_000);
  assert.deepEqual(await idsOf("calm"), calm);
  assert.equal(Number(await count("calm")), before + 1);
  assert.equal(await count("changing"), "1");
  assert.notDeepEqual(await idsOf("changing"), changing);
  const vms = (await fixture.client.vms.list()).map(({ id }) => id);
  for (const id of [...gone, ...changing]) assert.ok(!vms.includes(id), id);
  // What cannot be read changes nothing.
  writeFileSync(file, "[servers.calm]\ncommand = \n");
  await fixture.ok("vm", "list");
  assert.deepEqual(await idsOf("calm"), calm);
  writeServers({ ...others, changing: 'memory = "300M"', added: SMALL });
});

test("a resident server is there with its daemon, before anybody calls, and does not stop for being idle; no other is", async () => {
  await fixture.ok("down", "--config", file);
  assert.equal((await fixture.client.vms.list()).length, 0);
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  await fixture.ok("daemon", "start");
  await waitFor(async () => (await fixture.client.servers.get("kept")).state === "running", 300_000);
  const running = (await fixture.client.servers.list()).filter(({ vms }) => vms.length > 0);
  assert.deepEqual(
    running.map(({ name }) => name),
    ["kept"],
  );
  const [vm] = await idsOf("kept");
  assert.equal(await count("kept"), "1");
  assert.deepEqual(await idsOf("kept"), [vm]);
});

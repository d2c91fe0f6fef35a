import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FAILURE_KEY } from "../../src/mcp/result.ts";
import { DEFAULT_TOOLSETS, TOOLSETS, toolsOf } from "../../src/mcp/toolsets.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const initialize = (id: number) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "probe", version: "0" } },
  });
const pipe = async (lines: string[], env: NodeJS.ProcessEnv = {}) => {
  const { exitCode, stdout, stderr } = await fixture.cli(["serve", "mcp"], {
    input: `${lines.join("\n")}\n`,
    env,
    timeoutMs: 30_000,
  });
  const messages = stdout
    .trimEnd()
    .split("\n")
    .map(
      (line) => JSON.parse(line) as { id: number | null; result?: Record<string, unknown>; error?: { code: number } },
    );
  return { exitCode, messages, stderr };
};

test("one piped initialize is answered, and the end of stdin is the end", async () => {
  const { exitCode, messages, stderr } = await pipe([initialize(1)]);
  assert.equal(exitCode, 0);
  assert.equal(stderr, "");
  assert.equal(messages.length, 1);
  assert.equal(messages[0]?.result?.protocolVersion, "2025-06-18");
});

test("the toolsets that are served are those that were asked for", async () => {
  const list = [initialize(1), JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" })];
  const namesOf = async (env: NodeJS.ProcessEnv) => {
    const { messages } = await pipe(list, env);
    const listed = messages.find(({ id }) => id === 2)?.result as { tools: { name: string }[] };
    return listed.tools.map(({ name }) => name);
  };
  assert.deepEqual(
    await namesOf({ FIREBREAK_TOOLSETS: "template" }),
    TOOLSETS.template.map(({ name }) => name),
  );
  const all = await namesOf({ FIREBREAK_TOOLSETS: "all" });
  assert.ok(all.includes("template_list") && all.includes("run_command"));
  const refused = await fixture.cli(["serve", "mcp", "--toolsets", "vm,snapshto"]);
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /no toolset 'snapshto'[\s\S]*Did you mean 'snapshot'/);
});

test("a malformed line is answered with a parse error, and the next is served", async () => {
  const { exitCode, messages } = await pipe([
    initialize(1),
    "{broken",
    '{"jsonrpc":"2.0"}',
    JSON.stringify({ jsonrpc: "2.0", id: 2, method: "ping" }),
  ]);
  assert.equal(exitCode, 0);
  assert.deepEqual(
    messages.filter((message) => message.error !== undefined).map(({ id, error }) => [id, error?.code]),
    [
      [null, -32700],
      [null, -32600],
    ],
  );
  assert.ok(messages.some((message) => message.id === 2 && message.result !== undefined));
});

test("piped calls of quick tools are answered before the end", async () => {
  const call = JSON.stringify({
    jsonrpc: "2.0",
    id: 2,
    method: "tools/call",
    params: { name: "vm_list", arguments: {} },
  });
  const { messages } = await pipe([initialize(1), call]);
  assert.ok(
    messages.some(
      (message) =>
        message.id === 2 && Array.isArray((message.result?.structuredContent as { vms: unknown } | undefined)?.vms),
    ),
  );
});

test("tools are listed where no daemon can start; calls say why they fail", async () => {
  const list = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" });
  const call = JSON.stringify({
    jsonrpc: "2.0",
    id: 3,
    method: "tools/call",
    params: { name: "vm_list", arguments: {} },
  });
  const { exitCode, messages } = await pipe([initialize(1), list, call], {
    FIREBREAK_RUNTIME_DIR: `/tmp/${"x".repeat(120)}`,
  });
  assert.equal(exitCode, 0);
  const listed = messages.find(({ id }) => id === 2)?.result as { tools: unknown[] };
  assert.equal(listed.tools.length, toolsOf(DEFAULT_TOOLSETS).length);
  const failed = messages.find(({ id }) => id === 3)?.result as {
    isError: boolean;
    _meta: Record<string, { code: string }>;
  };
  assert.equal(failed.isError, true);
  assert.equal(failed._meta[FAILURE_KEY]?.code, "SOCKET_PATH_TOO_LONG");
});

test("stdin that closes while a VM boots ends the server at once, and no VM is left", async () => {
  const child = spawn(fixture.program, ["serve", "mcp"], { env: fixture.env, stdio: ["pipe", "pipe", "inherit"] });
  const create = {
    jsonrpc: "2.0",
    id: 2,
    method: "tools/call",
    // A boot takes long enough to be interrupted.
    params: { name: "vm_create", arguments: { name: "unwanted", cold: true } },
  };
  child.stdin.write(`${initialize(1)}\n${JSON.stringify(create)}\n`);
  child.stdout.resume();
  const isThere = async () => (await fixture.client.vms.list()).some((vm) => vm.name === "unwanted");
  while (!(await isThere())) await delay(20);
  child.stdin.end();
  const [exitCode] = await once(child, "exit");
  assert.equal(exitCode, 0);
  await waitFor(async () => !(await isThere()));
});

test("a signal ends the server as the end of stdin does", async () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const child = spawn(fixture.program, ["serve", "mcp"], { env: fixture.env, stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.write(`${initialize(1)}\n`);
    await once(child.stdout, "data");
    child.kill(signal);
    assert.deepEqual(await once(child, "exit"), [0, null]);
  }
});

test("each legacy revision is spoken as asked for", async () => {
  for (const protocolVersion of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]) {
    const params = { protocolVersion, capabilities: {}, clientInfo: { name: "probe", version: "0" } };
    const list = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" });
    const { messages } = await pipe([JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }), list]);
    assert.equal(messages.find(({ id }) => id === 1)?.result?.protocolVersion, protocolVersion);
    const listed = messages.find(({ id }) => id === 2)?.result as { tools: unknown[] };
    assert.equal(listed.tools.length, toolsOf(DEFAULT_TOOLSETS).length);
  }
});

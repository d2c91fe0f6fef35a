import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { VmServer } from "../../src/contract/server.ts";
import { type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";
import { freePort } from "../support/free-port.ts";
import { ERAS } from "../support/mcp-http.ts";
import { fixtureProgram, vmServer } from "../support/mcp-servers/fixture-server.ts";
import { callText, type OpenClient, serveGateway, type Way } from "../support/mcp-servers/gateway-client.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";

const [LEGACY = { options: {} }, MODERN = { options: {} }] = ERAS;

let fixture: DaemonFixture;
let open: OpenClient;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.listen({ address: `127.0.0.1:${await freePort()}` });
  open = await serveGateway(fixture);
});
after(() => fixture.close());

/** One server and nothing else; returns its name. */
async function serve(era: "legacy" | "modern", changes: Partial<VmServer> = {}): Promise<string> {
  await fixture.client.servers.apply({ source: "e2e", servers: [] });
  await fixture.client.servers.apply({ source: "e2e", servers: [vmServer(era, fixtureProgram(era), changes)] });
  return era;
}

const vmsOf = async (server: string) => (await fixture.client.servers.get(server)).vms;
const count = async (client: Client) => Number(await callText(client, "count"));

/** As a client that goes away for good does. */
async function leave(client: Client): Promise<void> {
  const transport = client.transport as Partial<StreamableHTTPClientTransport>;
  if (transport.sessionId !== undefined) await transport.terminateSession?.();
  await client.close();
}

async function restartDaemon(): Promise<void> {
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  await fixture.ok("daemon", "start");
}

async function killVmm(vm: string): Promise<void> {
  const { id } = await fixture.client.vms.get(vm);
  const vmms = (await listProcesses(fixture.folder)).filter(
    ({ command }) => /^\S*qemu-system/.test(command) && command.includes(id),
  );
  assert.equal(vmms.length, 1, JSON.stringify(vmms));
  for (const { pid } of vmms) process.kill(pid, "SIGKILL");
}

test("what a server offers is told without any VM, and clients that begin twice share one", async () => {
  const server = await serve("legacy");
  await fixture.client.servers.prepare(server);
  const client = await open(server, LEGACY.options);
  assert.ok((await client.listTools()).tools.length > 5);
  assert.deepEqual(await vmsOf(server), []);
  // A client that probes starts its command twice: once to find out, and again to go on.
  const shims = await Promise.all(
    ["auto", "auto"].map((mode) => open(server, { versionNegotiation: { mode } } as never, "stdio")),
  );
  const counts = await Promise.all([client, ...shims].map(count));
  assert.deepEqual(counts.sort(), [1, 2, 3]);
  assert.equal((await vmsOf(server)).length, 1);
  for (const each of [client, ...shims]) await leave(each);
});

for (const era of ["legacy", "modern"] as const) {
  test(`a ${era} server that offers something else tells clients of either revision`, async () => {
    const server = await serve(era);
    const heard = { legacy: 0, modern: 0, all: 0 };
    const legacy = await open(server, LEGACY.options);
    legacy.setNotificationHandler("notifications/tools/list_changed", () => void heard.legacy++);
    const modern = await open(server, MODERN.options, "stdio");
    modern.setNotificationHandler("notifications/tools/list_changed", () => void heard.modern++);
    await modern.listen({ toolsListChanged: true });
    const all = await open("", LEGACY.options);
    all.setNotificationHandler("notifications/tools/list_changed", () => void heard.all++);
    await callText(legacy, "grow");
    await waitFor(() => Object.values(heard).every((times) => times > 0));
    const isGrown = async () => (await modern.listTools()).tools.some(({ name }) => name === "grown");
    // What is new waits for somebody to look at it.
    assert.equal(await isGrown(), false);
    const { pending } = await fixture.client.servers.scan(server);
    assert.deepEqual(
      pending.map(({ name, what }) => [name, what]),
      [["grown", "new"]],
    );
    await fixture.client.servers.approve(server, {});
    await waitFor(isGrown);
    assert.ok((await modern.listTools()).tools.some(({ name }) => name === "grown"));
    assert.ok((await all.listTools()).tools.some(({ name }) => name === `${era}__grown`));
    for (const each of [legacy, modern, all]) await leave(each);
  });
}

test("at the endpoint of all, servers' tools, prompts and resources stand beside firebreak's own", async () => {
  const server = await serve("legacy");
  await fixture.client.servers.prepare(server);
  for (const { options } of ERAS) {
    const client = await open("", options);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    assert.ok(names.includes("legacy__count") && names.includes("vm_list"), names.join());
    assert.ok(Number(await callText(client, "legacy__count")) > 0);
    assert.ok((await client.listPrompts()).prompts.some(({ name }) => name === "legacy__greet"));
    const { messages } = await client.getPrompt({ name: "legacy__greet", arguments: { name: "Ada" } });
    assert.deepEqual(messages[0]?.content, { type: "text", text: "Hello, Ada" });
    assert.equal((await client.readResource({ uri: "test://count" })).contents.length, 1);
    await leave(client);
  }
});

test("an idle server's VM is suspended, and its process goes on with the next call", async () => {
  const server = await serve("modern", { idleTimeoutMs: 1_000 });
  const client = await open(server, LEGACY.options);
  assert.equal(await count(client), 1);
  const [vm = ""] = await vmsOf(server);
  await waitForVmState(fixture.client, vm, "suspended");
  assert.equal(await count(client), 2);
  assert.deepEqual(await vmsOf(server), [vm]);
  await leave(client);
});

describe("a daemon that is killed", () => {
  test("leaves servers as they are, and legacy clients' sessions: the next daemon goes on with both", async () => {
    const server = await serve("legacy", { idleTimeoutMs: 5_000 });
    const [http, stdio] = [await open(server, LEGACY.options), await open(server, LEGACY.options, "stdio")];
    assert.deepEqual([await count(http), await count(stdio)], [1, 2]);
    const [vm = ""] = await vmsOf(server);
    const cutOff = callText(stdio, "slow", { steps: 1, ms: 3_600_000 }).then(
      () => "answered",
      (error: Error) => error.message,
    );
    await count(http);
    await restartDaemon();
    assert.match(await cutOff, /the daemon ended during the call/);
    assert.deepEqual([await count(http), await count(stdio)], [4, 5]);
    assert.deepEqual(await vmsOf(server), [vm]);
    // What nobody uses does not run on because the daemon that has started it is gone.
    await restartDaemon();
    await waitForVmState(fixture.client, vm, "suspended");
    for (const each of [http, stdio]) await leave(each);
  });
});

describe("a server that is lost during a call", () => {
  for (const era of ["legacy", "modern"] as const)
    test(`since it crashes: the error names it, and the next call finds it anew (${era})`, async () => {
      const server = await serve(era);
      const client = await open(server, MODERN.options);
      assert.equal(await count(client), 1);
      await assert.rejects(
        callText(client, "crash"),
        new RegExp(`SERVER_FAILED: the server '${era}' has ended with code 3`),
      );
      assert.equal(await count(client), 1);
      assert.equal((await vmsOf(server)).length, 1);
      assert.match((await fixture.ok("server", "logs", server)).stdout, /about to crash/);
      await leave(client);
    });

  test("since its VM is lost: the same", async () => {
    const server = await serve("legacy");
    const client = await open(server, LEGACY.options);
    assert.equal(await count(client), 1);
    const [vm = ""] = await vmsOf(server);
    const lost = callText(client, "slow", { steps: 1, ms: 3_600_000 });
    await count(client);
    await killVmm(vm);
    await assert.rejects(lost, /SERVER_FAILED: the server 'legacy' is lost/);
    assert.equal(await count(client), 1);
    await leave(client);
  });

  test("is asked again for the changes that clients wait for", async () => {
    for (const era of ["legacy", "modern"] as const) {
      const server = await serve(era);
      const client = await open(server, LEGACY.options);
      let updates = 0;
      client.setNotificationHandler("notifications/resources/updated", () => void updates++);
      await client.subscribeResource({ uri: "test://count" });
      await waitFor(async () => (await callText(client, "whoami")).includes("test://count"));
      await assert.rejects(callText(client, "crash"));
      await waitFor(async () => (await callText(client, "whoami")).includes("test://count"));
      await callText(client, "touch");
      await waitFor(() => updates > 0);
      await leave(client);
    }
  });
});

describe("a VM for each session", () => {
  test("is of one client alone, and goes with its session", async () => {
    const server = await serve("legacy", { isolation: "session" });
    const http = await open(server, LEGACY.options);
    const stdio = await open(server, LEGACY.options, "stdio");
    assert.deepEqual([await count(http), await count(http), await count(stdio)], [1, 2, 1]);
    assert.equal((await vmsOf(server)).length, 2);
    await restartDaemon();
    assert.deepEqual([await count(http), await count(stdio)], [3, 2]);
    await leave(http);
    await waitFor(async () => (await vmsOf(server)).length === 1);
    assert.equal(await count(stdio), 3);
    await leave(stdio);
    await waitFor(async () => (await vmsOf(server)).length === 0);
    // A modern client has no session: it shares with those that have the same key.
    const modern = await Promise.all(["http", "stdio", "http"].map((way) => open(server, MODERN.options, way as Way)));
    const counts = [];
    for (const each of modern) counts.push(await count(each));
    assert.deepEqual(counts, [1, 1, 2]);
    await restartDaemon();
    assert.equal(await count(modern[1] as Client), 2);
    for (const each of modern) await leave(each);
  });

  test("is what its client's subscriptions are about", async () => {
    const server = await serve("legacy", { isolation: "session" });
    const client = await open(server, LEGACY.options);
    let updates = 0;
    client.setNotificationHandler("notifications/resources/updated", () => void updates++);
    await client.subscribeResource({ uri: "test://count" });
    await waitFor(async () => (await callText(client, "whoami")).includes("test://count"));
    await callText(client, "touch");
    await waitFor(() => updates > 0);
    assert.equal((await vmsOf(server)).length, 1);
    await leave(client);
  });
});

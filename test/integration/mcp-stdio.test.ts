import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { ToolRegistry } from "../../src/mcp/registry.ts";
import { serveOverStreams } from "../../src/mcp/stdio/serve.ts";
import { createFakeVmClient } from "../support/fake-vm-client.ts";
import { waitFor } from "../support/wait-for.ts";

interface Message {
  id?: number;
  method?: string;
  params?: { uri?: string; _meta?: Record<string, unknown> };
  result?: Record<string, unknown>;
}

const MODERN = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};

function open() {
  const fake = createFakeVmClient(["web"]);
  const input = new PassThrough();
  const output = new PassThrough();
  const received: Message[] = [];
  let partial = "";
  output.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (partial + chunk).split("\n");
    partial = lines.pop() ?? "";
    for (const line of lines) received.push(JSON.parse(line));
  });
  const connect = async () => fake;
  const registry = new ToolRegistry();
  const ended = serveOverStreams({ input, output, registry, connect, peek: connect, version: "0" });
  const say = (message: object) => void input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const updates = () => received.filter(({ method }) => method === "notifications/resources/updated");
  const change = async (isTold: () => boolean) => {
    const changing = setInterval(() => {
      for (const vm of fake.world.vms) vm.cpus++;
    }, 50);
    await waitFor(isTold);
    clearInterval(changing);
  };
  const end = () => {
    input.end();
    return ended;
  };
  return { fake, received, say, updates, change, end };
}

test("on a stream, a legacy client hears of what it has subscribed to, until it no longer wants to", async () => {
  const { fake, received, say, updates, change, end } = open();
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "0" } };
  say({ id: 1, method: "initialize", params });
  say({ method: "notifications/initialized" });
  say({ id: 2, method: "resources/subscribe", params: { uri: "firebreak://vms/web" } });
  say({ id: 3, method: "resources/list" });
  await change(() => updates().length > 0);
  assert.ok(updates().every((message) => message.params?.uri === "firebreak://vms/web"));
  fake.world.vms.push({ ...(fake.world.vms[0] as (typeof fake.world.vms)[0]), name: "more" });
  await waitFor(() => received.some(({ method }) => method === "notifications/resources/list_changed"));
  say({ id: 4, method: "resources/unsubscribe", params: { uri: "firebreak://vms/web" } });
  say({ id: 5, method: "resources/subscribe", params: { uri: "firebreak://vms/more" } });
  await waitFor(() => received.some(({ id }) => id === 5));
  const before = updates().length;
  await change(() => updates().length > before);
  assert.ok(
    updates()
      .slice(before)
      .every((message) => message.params?.uri === "firebreak://vms/more"),
  );
  await end();
});

test("on a stream, a modern client hears of what it listens to, under its subscription", async () => {
  const { received, say, updates, change, end } = open();
  say({ id: 1, method: "server/discover", params: { _meta: MODERN } });
  const notifications = { resourceSubscriptions: ["firebreak://vms"], resourcesListChanged: true };
  say({ id: 2, method: "subscriptions/listen", params: { _meta: MODERN, notifications } });
  await change(() => updates().length > 0);
  assert.equal(updates()[0]?.params?._meta?.["io.modelcontextprotocol/subscriptionId"], 2);
  say({ method: "notifications/cancelled", params: { requestId: 2, _meta: MODERN } });
  say({ id: 3, method: "subscriptions/listen", params: { _meta: MODERN, notifications } });
  const before = updates().length;
  await change(() => updates().length > before);
  assert.equal(updates().at(-1)?.params?._meta?.["io.modelcontextprotocol/subscriptionId"], 3);
  assert.ok(received.some(({ method }) => method === "notifications/subscriptions/acknowledged"));
  await end();
});

test("each call is told to the audit log, with who makes it, also the last one before the stream ends", async () => {
  const { fake, received, say, end } = open();
  const _meta = { ...MODERN, "io.modelcontextprotocol/clientInfo": { name: "modern-client", version: "2" } };
  say({ id: 1, method: "tools/call", params: { _meta, name: "vm_get", arguments: { vm: "web" } } });
  say({ id: 2, method: "tools/call", params: { _meta, name: "vm_get", arguments: { vm: "none" } } });
  await end();
  assert.equal(received.filter(({ result }) => result !== undefined).length, 2);
  const told = fake.world.reports.map(({ client, tool, vm, verdict, code }) => ({ client, tool, vm, verdict, code }));
  const client = { name: "modern-client", version: "2" };
  assert.deepEqual(
    told.sort((a, b) => a.verdict.localeCompare(b.verdict)),
    [
      { client, tool: "vm_get", vm: "web", verdict: "ok", code: undefined },
      { client, tool: "vm_get", vm: "none", verdict: "tool_error", code: "VM_NOT_FOUND" },
    ],
  );
});

test("a legacy client's name is told as it was said at the start", async () => {
  const { fake, say, end } = open();
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "legacy-client", version: "1" },
  };
  say({ id: 1, method: "initialize", params });
  say({ method: "notifications/initialized" });
  say({ id: 2, method: "tools/call", params: { name: "vm_list", arguments: {} } });
  await end();
  assert.deepEqual(
    fake.world.reports.map(({ client }) => client),
    [{ name: "legacy-client", version: "1" }],
  );
});

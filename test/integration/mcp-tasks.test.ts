import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { Client, type ClientOptions, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import {
  createTaskSessionFromClient,
  type RawClientDispatch,
  resultFromTaskOutcome,
} from "@modelcontextprotocol/ext-tasks/client";
import {
  contributeTaskFilterV2,
  DetailedTaskV2Schema,
  readAcceptedTaskIdsV2,
  TaskStatusNotificationV2Schema,
} from "@modelcontextprotocol/ext-tasks/core/v2";
import { ToolRegistry } from "../../src/mcp/registry.ts";
import { serveOverStreams } from "../../src/mcp/stdio/serve.ts";
import { toolsOf } from "../../src/mcp/toolsets.ts";
import { createFakeVmClient, type FakeVmClient } from "../support/fake-vm-client.ts";
import { ERAS, type HttpMcp, serveHttpMcp } from "../support/mcp-http.ts";
import { waitFor } from "../support/wait-for.ts";

/** MCP's extension for tasks, on the wire and with its makers' client. */

const EXTENSION = "io.modelcontextprotocol/tasks";
const PROTOCOL = "2026-07-28";
const CLIENT = { name: "test", version: "0" };
const DECLARED = { extensions: { [EXTENSION]: {} } };

let fake: FakeVmClient;
let mcp: HttpMcp;
let url: URL;
before(async () => {
  fake = createFakeVmClient();
  mcp = await serveHttpMcp(fake);
  url = new URL("?toolsets=task", mcp.url);
});
after(() => mcp.close());

type Answer = {
  status: number;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
};

/** One request of a modern client that can do what `capabilities` says. */
function send(
  method: string,
  params: Record<string, unknown>,
  { capabilities = DECLARED, signal }: { capabilities?: object; signal?: AbortSignal } = {},
): Promise<Response> {
  const name = params.name ?? params.taskId;
  const _meta = {
    ...(params._meta as object | undefined),
    "io.modelcontextprotocol/protocolVersion": PROTOCOL,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": capabilities,
  };
  return fetch(url, {
    method: "POST",
    ...(signal === undefined ? {} : { signal }),
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": PROTOCOL,
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {}),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } }),
  });
}

async function ask(method: string, params: Record<string, unknown>, capabilities: object = DECLARED): Promise<Answer> {
  const response = await send(method, params, { capabilities });
  const text = await response.text();
  const json = text.startsWith("{") ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? "{}");
  return { status: response.status, ...(JSON.parse(json) as object) };
}

async function open(options: ClientOptions): Promise<Client> {
  const client = new Client(CLIENT, options);
  await client.connect(new StreamableHTTPClientTransport(url));
  return client;
}

const statusOf = (result: Answer["result"]) => (result?.structuredContent as { status?: string } | undefined)?.status;

const call = (args: object, capabilities?: object) =>
  ask("tools/call", { name: "run_task", arguments: { command: ["true"], ...args } }, capabilities);

test("who knows the extension gets a handle, and the tool's own result once the task has ended", async () => {
  const { result: found = {} } = await ask("server/discover", {});
  assert.deepEqual((found.capabilities as { extensions?: unknown }).extensions, { [EXTENSION]: {} });
  const { result: made } = await call({});
  assert.equal(made?.resultType, "task", JSON.stringify(made));
  const taskId = made?.taskId as string;
  assert.deepEqual([made?.status, made?.ttlMs, typeof made?.pollIntervalMs], ["working", null, "number"]);
  const { result: working } = await ask("tasks/get", { taskId });
  assert.deepEqual([working?.resultType, working?.status, working?.taskId], ["complete", "working", taskId]);
  await fake.tasks.wait(taskId, 0);
  const { result: ended } = await ask("tasks/get", { taskId });
  assert.equal(DetailedTaskV2Schema.parse(ended).status, "completed");
  assert.equal(statusOf(ended?.result as Answer["result"]), "completed");
});

test("who does not, or wants the id at once, has the tool's own result, and no tasks/*", async () => {
  const { result } = await call({}, {});
  assert.deepEqual([result?.resultType, statusOf(result)], ["complete", "completed"]);
  const { result: atOnce } = await call({ wait: false });
  assert.deepEqual([atOnce?.resultType, statusOf(atOnce)], ["complete", "running"]);
  const { result: preview } = await call({ preview: true });
  assert.equal(preview?.resultType, "complete");
  for (const method of ["tasks/get", "tasks/cancel", "tasks/update"]) {
    const { error } = await ask(method, { taskId: "t1", inputResponses: {} }, {});
    assert.deepEqual([error?.code, error?.data], [-32021, { requiredCapabilities: DECLARED }], method);
  }
  const listen = { notifications: { taskIds: ["t1"] } };
  const { error, status } = await ask("subscriptions/listen", listen, {});
  assert.deepEqual([status, error?.code], [400, -32021]);
});

test("a call that fails has its failure, and no task; one that is no run_task has no handle", async () => {
  const { result } = await call({ max_turns: -1 });
  assert.deepEqual([result?.resultType, result?.isError], ["complete", true]);
  const { result: listed } = await ask("tools/call", { name: "list_tasks", arguments: {} });
  assert.equal(listed?.resultType, "complete");
});

interface Note {
  method: string;
  params: Record<string, unknown> & { notifications?: Record<string, unknown>; _meta?: Record<string, unknown> };
}

/** A client that listens: what it has been told, and how it hangs up. */
async function listen(notifications: Record<string, unknown>) {
  const gone = new AbortController();
  const response = await send("subscriptions/listen", { notifications }, { signal: gone.signal });
  assert.equal(response.status, 200);
  const notes: Note[] = [];
  const reading = (async () => {
    let text = "";
    for await (const chunk of (response.body ?? assert.fail()).pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const [, json] = /^data: (.*)$/m.exec(frame) ?? [];
        if (json !== undefined) notes.push(JSON.parse(json));
      }
    }
  })().catch(() => {});
  const close = () => {
    gone.abort();
    return reading;
  };
  return { notes, reading, close };
}

test("who listens is told how a task is, and of its end with its result, as tasks/get has them", async () => {
  const taskId = (await call({})).result?.taskId as string;
  const other = (await call({})).result?.taskId as string;
  const own = contributeTaskFilterV2({ notifications: { resourcesListChanged: true } }, [taskId, "nobody"]);
  const { notes, close } = await listen(own.notifications as Record<string, unknown>);
  await waitFor(() => notes.length >= 2);
  const [first, now] = notes;
  assert.equal(first?.method, "notifications/subscriptions/acknowledged");
  assert.deepEqual(first?.params.notifications, { resourcesListChanged: true, taskIds: [taskId] });
  assert.deepEqual(readAcceptedTaskIdsV2(first?.params), [taskId]);
  assert.equal(TaskStatusNotificationV2Schema.parse(now).params.status, "working");
  for (const id of [other, taskId]) await fake.tasks.wait(id, 0);
  await waitFor(() => notes.length >= 3);
  assert.equal(TaskStatusNotificationV2Schema.parse(notes[2]).params.status, "completed");
  const { _meta: stamp, ...told } = notes[2]?.params ?? {};
  assert.deepEqual(stamp, { "io.modelcontextprotocol/subscriptionId": 1 });
  const { resultType: _, _meta: __, ...detail } = (await ask("tasks/get", { taskId })).result ?? {};
  assert.deepEqual(told, detail);
  await close();
  assert.equal(notes.length, 3, "told of nothing else");
});

test("a stream for tasks alone stays open, also once they have ended, and is none for tasks that there are not", async () => {
  const taskId = (await call({})).result?.taskId as string;
  await ask("tasks/cancel", { taskId });
  const { notes, reading, close } = await listen({ taskIds: [taskId] });
  await waitFor(() => notes.length >= 2);
  assert.deepEqual(notes[0]?.params.notifications, { taskIds: [taskId] });
  assert.equal(notes[1]?.params.status, "cancelled");
  const isOpen = await Promise.race([reading.then(() => false), new Promise((next) => setImmediate(next, true))]);
  assert.ok(isOpen);
  await close();
  const none = await listen({ taskIds: ["nobody"] });
  await none.reading;
  assert.deepEqual(none.notes[0]?.params.notifications, {});
});

test("nobody looks at tasks any more once the listener is gone", async (t) => {
  const taskId = (await call({})).result?.taskId as string;
  const { notes, close } = await listen({ taskIds: [taskId] });
  await waitFor(() => notes.length >= 2);
  await close();
  // What was under way has come to its end when a stream that was opened later has heard.
  const later = await listen({ taskIds: [(await call({})).result?.taskId as string] });
  await waitFor(() => later.notes.length >= 2);
  const get = t.mock.method(fake.tasks, "get");
  await waitFor(() => get.mock.callCount() >= 3);
  await later.close();
  assert.ok(get.mock.calls.every(({ arguments: [id] }) => id !== taskId));
});

test("tasks are cancelled, at once or twice; unknown ones, and methods of the older draft, are refused", async () => {
  const { result: made } = await call({});
  const taskId = made?.taskId as string;
  for (let times = 0; times < 2; times++)
    assert.equal((await ask("tasks/cancel", { taskId })).result?.resultType, "complete");
  const { result: cancelled } = await ask("tasks/get", { taskId });
  assert.deepEqual([cancelled?.status, cancelled?.result], ["cancelled", undefined]);
  assert.equal((await ask("tasks/update", { taskId, inputResponses: { a: {} } })).result?.resultType, "complete");
  for (const method of ["tasks/get", "tasks/cancel", "tasks/update"])
    assert.equal((await ask(method, { taskId: "nobody", inputResponses: {} })).error?.code, -32602, method);
  assert.equal((await ask("tasks/get", {})).error?.code, -32602);
  for (const method of ["tasks/list", "tasks/result"])
    assert.equal((await ask(method, { taskId })).error?.code, -32601);
});

test("the extension's own client runs a task, and one that it cancels", async () => {
  const client = await open({ versionNegotiation: { mode: { pin: PROTOCOL } }, capabilities: DECLARED });
  const rawDispatch: RawClientDispatch = async (request) => {
    const { method, params } = request as { method: string; params: Record<string, unknown> };
    const { result, error } = await ask(method, params);
    return (error === undefined ? { kind: "result", result } : { kind: "error", error }) as Awaited<
      ReturnType<RawClientDispatch>
    >;
  };
  const v2RequestFraming = { protocolVersion: PROTOCOL, clientInfo: CLIENT, clientCapabilities: DECLARED };
  const session = createTaskSessionFromClient(client, { endpointId: "test", rawDispatch, v2RequestFraming });
  try {
    const execution = await session.callTool("run_task", { command: ["true"] });
    assert.equal(execution.kind, "task");
    if (execution.kind === "task") await fake.tasks.wait(execution.handle.taskId, 0);
    const result = resultFromTaskOutcome((await execution.settle()).outcome);
    assert.equal((result as { structuredContent?: { exit_code?: number } }).structuredContent?.exit_code, 0);
    const other = await session.callTool("run_task", { command: ["sleep", "1000"] });
    await other.cancel();
    assert.equal((await other.settle()).outcome.status, "cancelled");
  } finally {
    await session.close();
    await client.close();
  }
});

test("clients that do not know the extension have their results, in either era", async () => {
  for (const { era, options } of ERAS) {
    const client = await open(options);
    const result = await client.callTool({ name: "run_task", arguments: { command: ["true"] } });
    assert.equal(statusOf(result), "completed", era);
    await client.close();
  }
});

/** A client on a stream: what it says, and what it is answered. */
function openStream() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const notes: Note[] = [];
  const answers = new Map<number, { result?: Record<string, unknown>; error?: { code: number } }>();
  let partial = "";
  output.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (partial + chunk).split("\n");
    partial = lines.pop() ?? "";
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.id === undefined) notes.push(message);
      else answers.set(message.id, message);
    }
  });
  const connect = async () => fake;
  const registry = new ToolRegistry(toolsOf(["task"]));
  const ended = serveOverStreams({ input, output, registry, connect, peek: connect, version: "0" });
  const say = (message: object) => void input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const answer = async (id: number, method: string, params: object) => {
    say({ id, method, params });
    await waitFor(() => answers.has(id));
    return answers.get(id) ?? {};
  };
  const end = () => {
    input.end();
    return ended;
  };
  return { say, answer, notes, end };
}

test("on a stream it is the same; a legacy client has no tasks/*", async () => {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL,
    "io.modelcontextprotocol/clientCapabilities": DECLARED,
  };
  const modern = openStream();
  const { result: made } = await modern.answer(1, "tools/call", {
    ...{ name: "run_task", arguments: { command: ["true"] }, _meta },
  });
  assert.equal(made?.resultType, "task");
  const { result: found } = await modern.answer(2, "tasks/get", { taskId: made?.taskId, _meta });
  assert.equal(found?.status, "working");
  const taskIds = [made?.taskId as string, "nobody"];
  const { error } = await modern.answer(3, "subscriptions/listen", {
    ...{ notifications: { taskIds }, _meta: { ..._meta, "io.modelcontextprotocol/clientCapabilities": {} } },
  });
  assert.equal(error?.code, -32021);
  for (const id of [4, 5])
    modern.say({ id, method: "subscriptions/listen", params: { notifications: { taskIds }, _meta } });
  await waitFor(() => modern.notes.length >= 4);
  const [acknowledged] = modern.notes;
  assert.deepEqual(acknowledged?.params.notifications, { taskIds: [made?.taskId] });
  modern.say({ method: "notifications/cancelled", params: { requestId: 4, _meta } });
  await modern.answer(6, "tasks/get", { taskId: made?.taskId, _meta });
  await fake.tasks.wait(made?.taskId as string, 0);
  await waitFor(() => modern.notes.length >= 5);
  const last = TaskStatusNotificationV2Schema.parse(modern.notes[4]).params;
  assert.deepEqual([last.status, last._meta?.["io.modelcontextprotocol/subscriptionId"]], ["completed", 5]);
  await modern.end();
  assert.equal(modern.notes.length, 5, "whoever has cancelled is told nothing");
  const legacy = openStream();
  await legacy.answer(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: CLIENT });
  legacy.say({ method: "notifications/initialized" });
  assert.equal((await legacy.answer(2, "tasks/get", { taskId: made?.taskId })).error?.code, -32601);
  await legacy.end();
});

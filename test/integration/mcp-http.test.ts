import assert from "node:assert/strict";
import http from "node:http";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import type { Vm } from "../../src/contract/vm.ts";
import { MemoryMcpSessionStore } from "../../src/mcp/http/memory-session-store.ts";
import { artifactUri } from "../../src/mcp/resources/uri.ts";
import { TOOLSETS } from "../../src/mcp/toolsets.ts";
import { createFakeVmClient, type FakeVmClient } from "../support/fake-vm-client.ts";
import { ERAS, type HttpMcp, serveHttpMcp } from "../support/mcp-http.ts";
import { waitFor } from "../support/wait-for.ts";

const JSON_TYPE = "application/json";
const ACCEPT = "application/json, text/event-stream";

interface Reply {
  status: number | undefined;
  headers: http.IncomingHttpHeaders;
  text: string;
}

/** One request as any program could make it. */
function send(mcp: HttpMcp, method: string, headers: Record<string, string>, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request(mcp.url, { method, headers: { accept: ACCEPT, ...headers }, agent: false });
    request.once("response", (response) => {
      text(response).then(
        (answer) => resolve({ status: response.statusCode, headers: response.headers, text: answer }),
        reject,
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

const post = (mcp: HttpMcp, message: unknown, headers: Record<string, string> = {}) =>
  send(mcp, "POST", { "content-type": JSON_TYPE, ...headers }, JSON.stringify(message));

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "0" } },
};
const callOf = (id: number | string, name: string, args: Record<string, unknown>) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args },
});

async function initialize(mcp: HttpMcp, protocolVersion = "2025-11-25", headers: Record<string, string> = {}) {
  const message = { ...INITIALIZE, params: { ...INITIALIZE.params, protocolVersion } };
  const { headers: answered } = await post(mcp, message, headers);
  const session = { "mcp-session-id": String(answered["mcp-session-id"]), "mcp-protocol-version": protocolVersion };
  await post(mcp, { jsonrpc: "2.0", method: "notifications/initialized" }, { ...session, ...headers });
  return session;
}

type Session = Awaited<ReturnType<typeof initialize>>;

/** The messages of an event stream, and the id of its last event. */
function readEvents(stream: string): { messages: { id?: unknown; error?: { message: string } }[]; lastId: string } {
  const lines = stream.split("\n");
  const of = (field: string) =>
    lines.filter((line) => line.startsWith(`${field}: `)).map((line) => line.slice(field.length + 2));
  return {
    messages: of("data").flatMap((data) => (data === "" ? [] : [JSON.parse(data)])),
    lastId: of("id").at(-1) ?? "",
  };
}

/** Begins a POST, hangs up once the answer's first event has come, and returns that event's id. */
function breakOff(mcp: HttpMcp, message: unknown, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request(mcp.url, {
      method: "POST",
      headers: { accept: ACCEPT, "content-type": JSON_TYPE, ...headers },
      agent: false,
    });
    request.on("error", () => {}); // our own hanging up
    request.once("response", (response) => {
      response.setEncoding("utf8");
      response.once("data", (chunk: string) => {
        request.destroy();
        resolve(readEvents(chunk).lastId);
      });
      response.on("error", () => {});
    });
    request.once("close", () => reject(new Error("closed before an event came")));
    request.end(JSON.stringify(message));
  });
}

for (const { era, options } of ERAS) {
  describe(`over HTTP, a client of revision ${era}`, () => {
    let fake: FakeVmClient;
    let mcp: HttpMcp;
    let client: Client;
    before(async () => {
      fake = createFakeVmClient(["web", "db"]);
      mcp = await serveHttpMcp(fake);
      client = await mcp.open(options);
    });
    after(async () => {
      await client.close();
      await mcp.close();
    });

    test("speaks that revision, and calls tools", async () => {
      assert.equal(client.getNegotiatedProtocolVersion(), era);
      const { structuredContent } = await client.callTool({ name: "vm_list", arguments: {} });
      assert.deepEqual(
        (structuredContent as { vms: { vm: string }[] }).vms.map(({ vm }) => vm),
        ["web", "db"],
      );
    });

    test("gets the tools that the URL's query asks for", async () => {
      const asking = async (query: string) => {
        mcp.url.search = query;
        try {
          const other = await mcp.open(options);
          const { tools } = await other.listTools();
          await other.close();
          return tools.map(({ name }) => name);
        } finally {
          mcp.url.search = "";
        }
      };
      const names = TOOLSETS.template.map(({ name }) => name);
      assert.ok(names.length > 1);
      assert.deepEqual(await asking("?toolsets=template"), names);
    });

    test("hears of progress", async () => {
      const notes: string[] = [];
      const onprogress = ({ message }: { message?: string }) => void notes.push(message ?? "");
      await client.callTool({ name: "vm_create", arguments: { name: "made" } }, { onprogress });
      assert.deepEqual(notes, ["booting"]);
      const planned = await client.callTool({ name: "vm_delete", arguments: { vm: "made", preview: true } });
      const { confirm_token } = (planned.structuredContent as { preview: { confirm_token: string } }).preview;
      await client.callTool({ name: "vm_delete", arguments: { vm: "made", confirm_token } });
    });

    test("64 calls at once are all answered", async () => {
      const calls = Array.from({ length: 64 }, (_, index) =>
        client.callTool({ name: "run_command", arguments: { vm: index % 2 ? "web" : "db", command: "true" } }),
      );
      for (const result of await Promise.all(calls)) assert.equal(result.isError ?? false, false);
    });

    test("reads resources, completes names and gets prompts", async () => {
      const { resources } = await client.listResources();
      assert.deepEqual(
        resources.map(({ uri }) => uri),
        [
          "firebreak://vms",
          "firebreak://snapshots",
          "firebreak://artifacts",
          "firebreak://vms/db",
          "firebreak://vms/db/console",
          "firebreak://vms/web",
          "firebreak://vms/web/console",
        ],
      );
      fake.world.files.set("/srv/a b", Buffer.from("contents"));
      const read = await client.readResource({ uri: "firebreak://vms/web/files/srv/a%20b?offset=3&length=4" });
      const [content] = read.contents as { text?: string; _meta?: Record<string, unknown> }[];
      assert.equal(content?.text, "tent");
      assert.equal(content?._meta?.["firebreak.dev/next"], "firebreak://vms/web/files/srv/a%20b?offset=7&length=4");
      await assert.rejects(client.readResource({ uri: "firebreak://vms/nowhere" }), /not found/i);
      fake.world.files.set("/srv/résumé", Buffer.from("größer"));
      const { name } = await fake.artifacts.create("web", { path: "/srv/résumé", name: `a b ${era}` });
      const { contents } = await client.readResource({ uri: artifactUri(name) });
      assert.equal((contents[0] as { text?: string }).text, "größer");
      const page = await client.readResource({ uri: `${artifactUri(name)}?offset=0&length=4` });
      assert.equal((page.contents[0] as { text?: string }).text, "grö");
      assert.equal(page.contents[0]?._meta?.["firebreak.dev/next"], `${artifactUri(name)}?offset=4&length=4`);
      const beyond = await client.readResource({ uri: `${artifactUri(name)}?offset=99&length=4` });
      assert.equal((beyond.contents[0] as { text?: string }).text, "");
      const list = await client.readResource({ uri: "firebreak://artifacts" });
      assert.match((list.contents[0] as { text: string }).text, /"path": "\/srv\/résumé"/);
      assert.ok((await client.listResources()).resources.some(({ uri }) => uri === artifactUri(name)));
      await fake.artifacts.delete(name);
      await assert.rejects(client.readResource({ uri: artifactUri(name) }), /not found/i);
      const { completion } = await client.complete({
        ref: { type: "ref/resource", uri: "firebreak://vms/{vm}" },
        argument: { name: "vm", value: "d" },
      });
      assert.deepEqual(completion.values, ["db"]);
      const { messages } = await client.getPrompt({ name: "debug_crashed_vm", arguments: { vm: "web" } });
      assert.match(JSON.stringify(messages), /firebreak:\/\/vms\/web\/console/);
    });
  });
}

test("a client that cancels, and one that hangs up, end what they began", async () => {
  const fake = createFakeVmClient(["web"], { isEndless: true });
  const mcp = await serveHttpMcp(fake);
  for (const [index, { options }] of ERAS.entries()) {
    const client = await mcp.open(options);
    const aborter = new AbortController();
    const call = client
      .callTool({ name: "run_command", arguments: { vm: "web", command: "x" } }, { signal: aborter.signal })
      .catch(() => "cancelled");
    await waitFor(() => fake.world.specs.length === index + 1);
    aborter.abort();
    assert.equal(await call, "cancelled");
    await waitFor(() => fake.world.closedExecs === index + 1);
    await client.close();
  }
  // One that was given no event's id, and so could not read on.
  const session = await initialize(mcp, "2025-06-18");
  const request = http.request(mcp.url, {
    method: "POST",
    headers: { accept: ACCEPT, "content-type": JSON_TYPE, ...session },
  });
  request.on("error", () => {});
  request.end(JSON.stringify(callOf(2, "run_command", { vm: "web", command: "x" })));
  await waitFor(() => fake.world.specs.length === 3);
  request.destroy();
  await waitFor(() => fake.world.closedExecs === 3);
  await mcp.close();
});

test("a legacy client whose connection broke reads on where it was, and its call is given up when it does not come back", async () => {
  const fake = createFakeVmClient(["web"], { isEndless: true });
  const mcp = await serveHttpMcp(fake, { graceMs: 2_000 });
  const session = await initialize(mcp);
  const lastId = await breakOff(mcp, callOf("slow", "run_command", { vm: "web", command: "x" }), session);
  await waitFor(() => fake.world.specs.length === 1);
  const resumed = send(mcp, "GET", { ...session, "last-event-id": lastId });
  const cancelled = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: "other" } };
  assert.equal((await post(mcp, cancelled, session)).status, 202);
  assert.equal(fake.world.closedExecs, 0);
  fake.world.endExecs();
  const { messages } = readEvents((await resumed).text);
  assert.deepEqual(
    messages.map(({ id }) => id),
    ["slow"],
  );
  await breakOff(mcp, callOf("left", "run_command", { vm: "web", command: "x" }), session);
  await waitFor(() => fake.world.closedExecs === 1);
  await mcp.close();
});

test("the stream of a legacy client's call ends when the call is cancelled", async () => {
  const fake = createFakeVmClient(["web"], { isEndless: true });
  const mcp = await serveHttpMcp(fake);
  const session = await initialize(mcp);
  const calling = post(mcp, callOf(7, "run_command", { vm: "web", command: "x" }), session);
  await waitFor(() => fake.world.specs.length === 1);
  const cancelled = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } };
  assert.equal((await post(mcp, cancelled, session)).status, 202);
  const { messages, lastId } = readEvents((await calling).text);
  assert.deepEqual(messages, []);
  assert.equal(fake.world.closedExecs, 1);
  assert.equal((await send(mcp, "GET", { ...session, "last-event-id": lastId })).status, 405);
  await mcp.close();
});

test("a legacy client goes on with its session when the server is another one, and hears that a call was lost", async () => {
  const store = new MemoryMcpSessionStore();
  const fake = createFakeVmClient(["web"], { isEndless: true });
  const first = await serveHttpMcp(fake, { store });
  const session = await initialize(first);
  await post(
    first,
    { jsonrpc: "2.0", id: 2, method: "resources/subscribe", params: { uri: "firebreak://vms/web" } },
    session,
  );
  const lastId = await breakOff(first, callOf("lost", "run_command", { vm: "web", command: "x" }), session);
  await first.close();
  const second = await serveHttpMcp(fake, { store });
  const [listed, again] = await Promise.all([
    post(second, { jsonrpc: "2.0", id: 3, method: "tools/list" }, session),
    post(second, callOf(4, "vm_list", {}), session),
  ]);
  assert.match(listed.text, /run_command/);
  assert.match(again.text, /\[firebreak/);
  const { messages } = readEvents((await send(second, "GET", { ...session, "last-event-id": lastId })).text);
  assert.deepEqual(
    messages.map(({ id, error }) => [id, error?.message]),
    [["lost", "the daemon ended during the call: whether it was done is not known"]],
  );
  // What it had subscribed to is told of again.
  const { promise: updated, resolve } = Promise.withResolvers<string>();
  const listening = http.get(second.url, { headers: { accept: "text/event-stream", ...session } }, (response) => {
    response.setEncoding("utf8").on("data", (chunk: string) => chunk.includes("updated") && resolve(chunk));
    response.on("error", () => {});
  });
  listening.on("error", () => {});
  const changing = setInterval(() => {
    for (const vm of fake.world.vms) vm.cpus++;
  }, 50);
  assert.match(await updated, /"uri":"firebreak:\/\/vms\/web"/);
  clearInterval(changing);
  listening.destroy();
  await second.close();
});

test("more legacy sessions than memory is for go on all the same, unless all of them are in use", async () => {
  const fake = createFakeVmClient(["web"], { isEndless: true });
  const mcp = await serveHttpMcp(fake, { maxLoaded: 2 });
  const sessions = [];
  for (let count = 0; count < 5; count++) sessions.push(await initialize(mcp));
  const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
  for (const session of [...sessions, ...sessions]) assert.equal((await post(mcp, list, session)).status, 200);
  const [one, two, three] = sessions.slice(0, 3) as [Session, Session, Session];
  const busy = [one, two].map((session) => post(mcp, callOf(3, "run_command", { vm: "web", command: "x" }), session));
  await waitFor(() => fake.world.specs.length === 2);
  const refused = await post(mcp, INITIALIZE);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers["retry-after"], "10");
  assert.equal((await post(mcp, list, three)).status, 503);
  fake.world.endExecs();
  await Promise.all(busy);
  await waitFor(async () => (await post(mcp, list, three)).status === 200);
  await mcp.close();
});

test("subscriptions are served in both eras, for as long as somebody listens", async () => {
  const output = [{ type: "stdout" as const, bytes: Buffer.from("x") }];
  const fake = createFakeVmClient(["web", "asleep"], { output });
  const mcp = await serveHttpMcp(fake);
  const uris = [
    "firebreak://vms",
    "firebreak://vms/web",
    "firebreak://vms/web/console",
    "firebreak://artifacts",
    "firebreak://vms/web/files/f",
    "firebreak://vms/web/files/new",
    "firebreak://vms/web/execs/exec-1/output",
  ];
  const silent = ["firebreak://vms/web/files/same", "firebreak://vms/asleep/files/f"];
  (fake.world.vms[1] as Vm).state = "suspended";
  fake.world.files.set("/same", Buffer.from("x"));
  fake.world.files.set("/f", Buffer.from("x"));
  for (const { era, options } of ERAS) {
    const client = await mcp.open(options);
    const updated = new Set<string>();
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.add(params.uri));
    const all = [...uris, ...silent];
    if (era === "2025-11-25") for (const uri of all) await client.subscribeResource({ uri });
    else await client.listen({ resourceSubscriptions: all });
    await waitFor(() => fake.world.followers.size === 1);
    let count = 0;
    const changing = setInterval(() => {
      for (const vm of fake.world.vms) vm.cpus++;
      void fake.artifacts.create("web", { path: "/f", name: `f${count++}` });
      fake.world.files.set("/f", Buffer.alloc(count));
      if (count % 30 === 0 && !fake.world.files.delete("/new")) fake.world.files.set("/new", Buffer.from("x"));
      output.push(...output.slice(0, 1));
      for (const follower of fake.world.followers) follower.write("printed\n");
    }, 50);
    await waitFor(() => uris.every((uri) => updated.has(uri)));
    clearInterval(changing);
    assert.deepEqual([...updated].sort(), [...uris].sort());
    if (era === "2025-11-25") for (const uri of all) await client.unsubscribeResource({ uri });
    await client.close();
    await waitFor(() => fake.world.followers.size === 0);
  }
  const legacy = await mcp.open({});
  await assert.rejects(legacy.subscribeResource({ uri: "firebreak://vms/web/nothing" }), /is no resource/);
  await legacy.close();
  await mcp.close();
});

describe("bad requests", () => {
  let mcp: HttpMcp;
  before(async () => {
    mcp = await serveHttpMcp(createFakeVmClient());
  });
  after(() => mcp.close());
  const json = { "content-type": JSON_TYPE };

  test("that are too large, too deep or no JSON are refused, and the next is served", async () => {
    const session = await initialize(mcp);
    const nested = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${"[".repeat(500_000)}${"]".repeat(500_000)}}`;
    for (const [body, status] of [
      ["x".repeat(5 * 1024 * 1024), 413],
      [nested, 400],
      [`{"a":`.repeat(100_000), 400],
      ["{broken", 400],
      ["", 400],
      ["[]", 400],
      [JSON.stringify(Array.from({ length: 1_000 }, () => INITIALIZE)), 400],
    ] as const) {
      for (const headers of [json, { ...json, ...session }]) {
        const reply = await send(mcp, "POST", headers, body);
        assert.equal(reply.status, status, body.slice(0, 40));
        assert.ok(JSON.parse(reply.text).error, reply.text.slice(0, 200));
      }
    }
    assert.equal((await post(mcp, { jsonrpc: "2.0", id: 9, method: "ping" }, session)).status, 200);
  });

  test("for tools that there are none of are refused, with the nearest that there are", async () => {
    mcp.url.search = "?toolsets=tempate";
    const reply = await post(mcp, INITIALIZE);
    mcp.url.search = "";
    assert.equal(reply.status, 400);
    assert.match(reply.text, /Did you mean 'template'/);
  });

  test("with a body of another type, or another method, are refused", async () => {
    const body = JSON.stringify(INITIALIZE);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"])
      assert.equal((await send(mcp, "POST", { "content-type": type }, body)).status, 415, type);
    assert.equal((await send(mcp, "PUT", json, body)).status, 405);
    assert.equal((await send(mcp, "GET", {})).status, 405);
  });

  test("of a session that is not there, has ended, or is somebody else's are refused with 404", async () => {
    const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
    assert.equal((await post(mcp, list, { "mcp-session-id": "made-up" })).status, 404);
    assert.equal((await post(mcp, list)).status, 400);
    const mine = await initialize(mcp, "2025-11-25", { "x-principal": "key k1" });
    for (const principal of ["key k2", "local"]) {
      for (const method of ["POST", "GET", "DELETE"]) {
        const body = method === "POST" ? JSON.stringify(list) : undefined;
        const reply = await send(mcp, method, { ...json, ...mine, "x-principal": principal }, body);
        assert.equal(reply.status, 404, `${method} by ${principal}`);
      }
    }
    const as = { ...mine, "x-principal": "key k1" };
    assert.equal((await post(mcp, list, as)).status, 200);
    assert.equal((await send(mcp, "DELETE", as)).status, 200);
    assert.equal((await post(mcp, list, as)).status, 404);
  });

  test("with an event's id that is made up open a stream of what comes, or none", async () => {
    const session = await initialize(mcp);
    for (const lastId of ["x", Buffer.from('["a",1,"b",[{"c":1}]]').toString("base64url"), "e".repeat(2_000)]) {
      const request = http.get(mcp.url, {
        headers: { accept: "text/event-stream", ...session, "last-event-id": lastId },
      });
      request.on("error", () => {});
      const status = await new Promise((resolve) =>
        request.once("response", (response) => {
          response.on("error", () => {});
          resolve(response.statusCode);
        }),
      );
      assert.equal(status, 200);
      request.destroy();
      await waitFor(
        async () =>
          (await send(mcp, "POST", { ...json, ...session }, JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" })))
            .status === 200,
      );
    }
  });
});

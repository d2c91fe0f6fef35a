import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { type CallToolResult, Client, SSEClientTransport } from "@modelcontextprotocol/client";
import { type GatewayFixture, openGateway } from "../support/gateway.ts";
import { serveLegacyUpstream, type Upstream } from "../support/upstreams.ts";
import { waitFor } from "../support/wait-for.ts";

let upstream: Upstream;
let fixture: GatewayFixture;
/** A gateway in front of the first one's endpoint for old clients. */
let second: GatewayFixture;

before(async () => {
  upstream = await serveLegacyUpstream();
  fixture = await openGateway({ far: { url: upstream.url }, other: { url: upstream.url } });
  second = await openGateway({ old: { url: fixture.urlOf("far", "sse").href } });
});
after(async () => {
  await second.close();
  await fixture.close();
  await upstream.close();
});

async function open(principal = "local"): Promise<Client> {
  const client = new Client({ name: "old", version: "0" }, { capabilities: { elicitation: { form: {} } } });
  const headers = { "x-principal": principal };
  const transport = new SSEClientTransport(fixture.urlOf("far", "sse"), {
    requestInit: { headers },
    eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
  });
  await client.connect(transport);
  return client;
}

const textOf = (result: unknown) => ((result as CallToolResult).content[0] as { text: string }).text;

test("an old client calls tools, and gets progress, questions, news of resources and of new tools", async (t) => {
  const client = await open();
  t.after(() => client.close());
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Old" } }));
  const [heard, updated]: [number[], string[]] = [[], []];
  let changes = 0;
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updated.push(params.uri));
  client.setNotificationHandler("notifications/tools/list_changed", () => void changes++);
  assert.equal(client.getServerVersion()?.name, "elsewhere");
  assert.equal(textOf(await client.callTool({ name: "echo", arguments: { text: "grüße" } })), "grüße");
  // The SDK's own way loses progress that comes in one piece with the result.
  client.setNotificationHandler("notifications/progress", ({ params }) => void heard.push(params.progress));
  await client.callTool({ name: "steps", arguments: {} }, { onprogress: () => {} });
  await waitFor(() => heard.length === 3);
  assert.deepEqual(heard, [1, 2, 3]);
  assert.equal(textOf(await client.callTool({ name: "ask", arguments: { text: "own" } })), "hello Old");
  await client.subscribeResource({ uri: "note://one" });
  await waitFor(() => {
    upstream.touch("note://one");
    return updated.length > 0;
  });
  upstream.grow("sse-grown");
  await waitFor(() => changes > 0);
  assert.ok((await client.listTools()).tools.some(({ name }) => name === "sse-grown"));
});

test("a call of a client that hangs up is given up", async () => {
  const client = await open();
  const before = upstream.canceled.length;
  const calling = client.callTool({ name: "slow", arguments: {} }).catch(() => {});
  setTimeout(() => void client.close(), 200);
  await calling;
  await waitFor(() => upstream.canceled.length > before);
});

/** A stream as any program could open it; resolves to where its messages go. */
async function openRaw(principal = "local", headers: Record<string, string> = {}) {
  const request = http.get(fixture.urlOf("far", "sse"), {
    headers: { "x-principal": principal, ...headers },
    agent: false,
  });
  request.on("error", () => {}); // our own hanging up
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.on("error", () => {});
  if (response.statusCode !== 200) {
    request.destroy();
    return { status: response.statusCode, endpoint: "", request };
  }
  const [chunk] = (await once(response, "data")) as [Buffer];
  const [, endpoint = ""] = /^event: endpoint\ndata: (\S+)\n\n/.exec(chunk.toString()) ?? [];
  return { status: 200, endpoint, request };
}

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(new URL(path, fixture.urlOf("far", "sse")), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
const PING = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });

test("a session is its principal's alone, and its server's", async () => {
  const { endpoint, request } = await openRaw("ann");
  assert.match(endpoint, /^\/servers\/far\/sse\?sessionId=[0-9a-f-]{36}$/);
  const asAnn = { "x-principal": "ann" };
  assert.equal((await post(endpoint, PING, asAnn)).status, 202);
  assert.equal((await post(endpoint, PING, { "x-principal": "bob" })).status, 404);
  assert.equal((await post(endpoint, PING)).status, 404);
  assert.equal((await post(endpoint.replace("/far/", "/other/"), PING, asAnn)).status, 404);
  request.destroy();
  await waitFor(async () => (await post(endpoint, PING, asAnn)).status === 404);
});

test("what is no message is refused, and the session goes on", async () => {
  const { endpoint, request } = await openRaw();
  for (const [body, status] of [
    ["{", 400],
    ['{"jsonrpc":"2.0"}', 400],
    ["[".repeat(100_000), 400],
    [JSON.stringify({ text: "x".repeat(5 * 1024 * 1024) }), 413],
    [PING, 202],
  ] as const)
    assert.equal((await post(endpoint, body)).status, status, body.slice(0, 20));
  assert.equal((await post(endpoint, PING, { "content-type": "text/plain" })).status, 415);
  assert.equal((await post("/servers/far/sse", PING)).status, 405);
  request.destroy();
});

test("one principal's sessions are bounded, and those of others go on", async () => {
  const opened = [];
  for (let count = 0; count < 64; count++) opened.push(await openRaw("many"));
  assert.ok(opened.every(({ status }) => status === 200));
  assert.equal((await openRaw("many")).status, 503);
  const other = await openRaw("other");
  assert.equal(other.status, 200);
  for (const { request } of [...opened, other]) request.destroy();
  await waitFor(async () => {
    const again = await openRaw("many");
    again.request.destroy();
    return again.status === 200;
  });
});

test("a server elsewhere that speaks only the transport of 2024 is reached through it", async (t) => {
  const client = await second.open("old");
  t.after(() => client.close());
  assert.equal(second.gateway.get("old").state, "running");
  assert.equal(textOf(await client.callTool({ name: "echo", arguments: { text: "twice" } })), "twice");
  await second.gateway.stop("old");
  assert.equal(textOf(await client.callTool({ name: "echo", arguments: { text: "again" } })), "again");
});

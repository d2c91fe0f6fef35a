import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CallToolResult, Client } from "@modelcontextprotocol/client";
import { type GatewayFixture, openGateway } from "../support/gateway.ts";
import { serveLegacyUpstream, type Upstream } from "../support/upstreams.ts";

/** A client that does what none should, at the endpoint of a server, beside one that behaves. */
let upstream: Upstream;
let fixture: GatewayFixture;
let healthy: Client;
before(async () => {
  upstream = await serveLegacyUpstream();
  fixture = await openGateway({ far: { url: upstream.url } });
  healthy = await fixture.open("far", {}, "healthy");
});
after(async () => {
  await healthy.close();
  await fixture.close();
  await upstream.close();
});

async function requireHealthy(): Promise<void> {
  const { content } = (await healthy.callTool({ name: "echo", arguments: { text: "well" } })) as CallToolResult;
  assert.deepEqual(content, [{ type: "text", text: "well" }]);
}

function post(body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(fixture.urlOf("far"), {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "x-principal": "hostile",
      ...headers,
    },
    body,
  });
}

async function openSession(): Promise<Record<string, string>> {
  const clientInfo = { name: "hostile", version: "1" };
  const capabilities = { elicitation: { form: {} } };
  const params = { protocolVersion: "2025-11-25", capabilities, clientInfo };
  const response = await post(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }));
  await response.text();
  return { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
}

test("half a message, one of 100 MiB, one without end of nesting and none are refused, and others never notice", async () => {
  const session = await openSession();
  for (const body of [
    '{"jsonrpc":"2.0","id":5,"method":"tools/ca',
    "Client listening on port 1\n",
    `{"jsonrpc":"2.0","id":5,"method":"${"x".repeat(100 * 1024 * 1024)}"}`,
    `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
    "null",
    "",
  ]) {
    // A body that is too large may be cut off while it is sent.
    const status = await post(body, session).then(
      async (response) => {
        await response.body?.cancel();
        return response.status;
      },
      () => 413,
    );
    assert.ok(status >= 400 && status < 500, `${status}: ${body.slice(0, 60)}`);
    await requireHealthy();
  }
});

test("answers that nobody asks for, or twice, and cancellations of others' calls change nothing", async () => {
  const session = await openSession();
  for (let id = 0; id < 200; id++) {
    const answers = [
      { jsonrpc: "2.0", id, result: { action: "accept", content: {} } },
      { jsonrpc: "2.0", id, error: { code: 1, message: "no" } },
      { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } },
      { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: id, progress: 1 } },
    ];
    await (await post(JSON.stringify(answers[id % answers.length]), session)).text();
    if (id % 50 === 0) await requireHealthy();
  }
  await requireHealthy();
});

test("a client that never answers what it is asked, vanishes, or lies about its revision holds up nobody", async () => {
  const session = await openSession();
  const ask = { name: "ask", arguments: { text: "own" } };
  const aborter = new AbortController();
  const asked = fetch(fixture.urlOf("far"), {
    method: "POST",
    signal: aborter.signal,
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "x-principal": "hostile",
      ...session,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/call", params: ask }),
  });
  await requireHealthy();
  aborter.abort();
  await asked.then(
    (response) => response.text().catch(() => {}),
    () => {},
  );
  await requireHealthy();
  const lying = { "mcp-protocol-version": "2099-01-01" };
  const call = { jsonrpc: "2.0", id: 8, method: "tools/call", params: { name: "echo", arguments: {} } };
  const response = await post(JSON.stringify(call), { ...session, ...lying });
  assert.equal(response.status, 400);
  await response.text();
  // Somebody else's session is none of its own.
  const stolen = await post(JSON.stringify(call), { ...session, "x-principal": "thief" });
  assert.equal(stolen.status, 404);
  await stolen.text();
  await requireHealthy();
});

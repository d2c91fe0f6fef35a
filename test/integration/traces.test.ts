import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import { referTo } from "../../src/gateway/config/references.ts";
import { MemoryMcpSessionStore } from "../../src/mcp/http/memory-session-store.ts";
import { ToolRegistry } from "../../src/mcp/registry.ts";
import { serveOverStreams } from "../../src/mcp/stdio/serve.ts";
import { startTelemetry } from "../../src/telemetry/start.ts";
import { asSpan, currentContext, startSpan, within } from "../../src/telemetry/tracing.ts";
import { createFakeVmClient } from "../support/fake-vm-client.ts";
import { type GatewayFixture, openGateway } from "../support/gateway.ts";
import { ERAS, serveHttpMcp } from "../support/mcp-http.ts";
import { type CollectedSpan, startTraceCollector, type TraceCollector } from "../support/trace-collector.ts";
import { serveLegacyUpstream, serveModernUpstream, type Upstream } from "../support/upstreams.ts";
import { waitFor } from "../support/wait-for.ts";

const UPSTREAMS = { "2025-11-25": serveLegacyUpstream, "2026-07-28": serveModernUpstream };
const STATE = "vendor=a1,other@x=2";
const BAGGAGE = "user=Ann,tier=gold;since=2";

/** A context as a caller has it. */
function newCaller() {
  const [traceId, spanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

const call = (client: Client, name: string, args: Record<string, unknown>, meta: Record<string, unknown> = {}) =>
  client.callTool({ name, arguments: args, _meta: meta });

for (const [upstreamEra, serve] of Object.entries(UPSTREAMS))
  for (const { era, options } of ERAS)
    describe(`a client of ${era} and a server elsewhere of ${upstreamEra}`, () => {
      let upstream: Upstream;
      let fixture: GatewayFixture;
      let client: Client;
      before(async () => {
        upstream = await serve();
        const headers = { Authorization: `Bearer ${referTo("TOKEN")}` };
        fixture = await openGateway({ far: { url: upstream.url, headers } }, () => "value-of-the-token");
        client = await fixture.open("far", options);
      });
      after(async () => {
        await client.close();
        await fixture.close();
        await upstream.close();
      });

      describe("with a collector", () => {
        let collector: TraceCollector;
        let end: () => Promise<void>;
        beforeEach(async () => {
          collector = await startTraceCollector();
          end = await startTelemetry({ url: collector.url, sample: 1 }, "1.2.3", () => {});
        });
        afterEach(async () => {
          await end();
          await collector.close();
        });

        test("a call is a span of the caller's trace, the server's call is a part of it, and the server is told so", async () => {
          const { traceId, spanId, traceparent } = newCaller();
          await call(client, "echo", { text: "hello" }, { traceparent, tracestate: STATE, baggage: BAGGAGE });
          await collector.find((span) => span.traceId === traceId && span.kind === "server");
          const spans = collector.ofTrace(traceId);
          const server = spans.find(({ kind }) => kind === "server");
          const upstreamCall = spans.find(({ kind, name }) => kind === "client" && name === "tools/call echo");
          assert.deepEqual([server?.name, server?.parentSpanId], ["tools/call echo", spanId]);
          assert.equal(upstreamCall?.parentSpanId, server?.spanId);
          const { "jsonrpc.request.id": id, "mcp.session.id": session, ...attributes } = server?.attributes ?? {};
          assert.ok(id !== undefined);
          assert.equal(session !== undefined, era === "2025-11-25");
          assert.deepEqual(attributes, {
            "mcp.method.name": "tools/call",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "echo",
            "mcp.protocol.version": era,
            "network.transport": "tcp",
            "network.protocol.name": "http",
            "firebreak.server.name": "far",
          });
          const { "jsonrpc.request.id": sentId, ...sent } = upstreamCall?.attributes ?? {};
          assert.match(String(sentId), /^\d+$/);
          assert.deepEqual(sent, {
            "mcp.method.name": "tools/call",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "echo",
            "mcp.protocol.version": upstreamEra,
            "network.transport": "tcp",
            "network.protocol.name": "http",
            "server.address": "127.0.0.1",
            "server.port": Number(new URL(upstream.url).port),
            "firebreak.server.name": "far",
          });
          const { "service.name": service, "service.version": version } = server?.resource ?? {};
          assert.deepEqual([service, version], ["firebreak", "1.2.3"]);
          const told = { traceparent: `00-${traceId}-${upstreamCall?.spanId}-01`, tracestate: STATE, baggage: BAGGAGE };
          const { traceparent: inMeta, tracestate, baggage } = upstream.metas.at(-1) ?? {};
          assert.deepEqual({ traceparent: inMeta, tracestate, baggage }, told);
          const seen = upstream.seen.find((headers) => headers.traceparent === told.traceparent);
          assert.deepEqual([seen?.tracestate, seen?.baggage], [STATE, BAGGAGE]);
        });

        test("the header is the caller's context where the message has none, and a link where it has", async () => {
          const [http, message] = [newCaller(), newCaller()];
          const headers = { traceparent: http.traceparent };
          const other = await fixture.open("far", options, "local", headers);
          await call(other, "echo", { text: "a" });
          await call(other, "echo", { text: "b" }, { traceparent: message.traceparent });
          const isCall = (traceId: string) => (span: { traceId: string; name: string; kind: string }) =>
            span.traceId === traceId && span.name === "tools/call echo" && span.kind === "server";
          const [first, second] = [
            await collector.find(isCall(http.traceId)),
            await collector.find(isCall(message.traceId)),
          ];
          assert.deepEqual([first.parentSpanId, first.links], [http.spanId, []]);
          assert.deepEqual([second.parentSpanId, second.links], [message.spanId, [http.spanId]]);
          await other.close();
        });

        test("a trace that its caller does not record is not recorded, and goes on", async () => {
          const { traceId } = newCaller();
          const traceparent = `00-${traceId}-${"1".repeat(16)}-00`;
          await call(client, "echo", { text: "hello" }, { traceparent });
          await call(client, "echo", { text: "hello" });
          await collector.find((span) => span.name === "tools/call echo");
          assert.deepEqual(collector.ofTrace(traceId), []);
          assert.match(String(upstream.metas.at(-2)?.traceparent), new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
        });

        test("failures are told by their codes, and a call that is given up as that", async () => {
          const { traceId, traceparent } = newCaller();
          await assert.rejects(call(client, "no-such-tool", {}, { traceparent }));
          const unknown = await collector.find((span) => span.traceId === traceId);
          assert.deepEqual(
            [unknown.isError, unknown.attributes["error.type"], unknown.attributes["rpc.response.status_code"]],
            [true, "-32602", "-32602"],
          );
          const slow = newCaller();
          const aborter = new AbortController();
          const given = client.callTool(
            { name: "slow", arguments: {}, _meta: { traceparent: slow.traceparent } },
            { signal: aborter.signal },
          );
          const calls = upstream.metas.length;
          await waitFor(() => upstream.metas.length > calls);
          aborter.abort();
          await assert.rejects(given);
          await waitFor(() => collector.ofTrace(slow.traceId).length >= 2);
          assert.deepEqual(
            collector.ofTrace(slow.traceId).map(({ attributes }) => attributes["error.type"]),
            ["OPERATION_CANCELED", "OPERATION_CANCELED"],
          );
        });

        test("what a server tells of by itself is nobody's, though it came of somebody's call", async () => {
          const { traceId, traceparent } = newCaller();
          await fixture.gateway.stop("far");
          await call(client, "echo", { text: "hello" }, { traceparent });
          const isList = ({ name, kind }: CollectedSpan) => name === "tools/list" && kind === "client";
          assert.equal((await collector.find(isList)).parentSpanId, "");
          assert.ok(!collector.ofTrace(traceId).some(isList));
        });

        test("no argument, result, address of a resource, error's text or secret is in any span", async () => {
          const { traceId, traceparent } = newCaller();
          await call(client, "echo", { text: "word-of-an-argument" }, { traceparent, baggage: "k=word-of-baggage" });
          await call(client, "echo", { text: { word: "word-of-a-mistake" } }, { traceparent }).catch(() => {});
          await client.readResource({ uri: "note://one", _meta: { traceparent } });
          await client.readResource({ uri: "note://word-of-a-uri", _meta: { traceparent } }).catch(() => {});
          await client
            .callTool({ name: "word of a hostile name", arguments: {}, _meta: { traceparent } })
            .catch(() => {});
          await fixture.gateway.stop("far");
          await call(client, "echo", { text: "word-of-an-argument" }, { traceparent });
          await waitFor(() => collector.ofTrace(traceId).filter(({ kind }) => kind === "server").length === 6);
          const all = collector.bodies.join();
          assert.ok(all.includes("resources/read"));
          for (const word of ["word-of", "word of", "value-of-the-token", "note://"])
            assert.ok(!all.includes(word), `${word} is in a span`);
        });
      });

      test("without a collector the caller's context goes on as it is, and what is none does not", async () => {
        const { traceparent } = newCaller();
        const last = () => {
          const { traceparent, tracestate, baggage } = upstream.metas.at(-1) ?? {};
          return { traceparent, tracestate, baggage };
        };
        const own = { traceparent, tracestate: STATE, baggage: BAGGAGE };
        await call(client, "echo", {}, own);
        assert.deepEqual(last(), own);
        assert.ok(upstream.seen.some((headers) => headers.traceparent === traceparent));
        const requests = upstream.seen.length;
        await call(client, "echo", {}, { traceparent: `${traceparent}-more`, tracestate: STATE });
        await call(client, "echo", {}, { traceparent: "00-x\r\nx: y", baggage: "no baggage at all" });
        assert.deepEqual(last(), { traceparent: undefined, tracestate: undefined, baggage: undefined });
        assert.ok(upstream.seen.slice(requests).every((headers) => headers.traceparent === undefined));
        const other = await fixture.open("far", options, "local", { traceparent });
        await call(other, "echo", {});
        assert.equal(last().traceparent, traceparent);
        await other.close();
      });
    });

test("a session that is found again is not begun by anybody anew", async (t) => {
  const collector = await startTraceCollector();
  const end = await startTelemetry({ url: collector.url, sample: 1 }, "0", () => {});
  const store = new MemoryMcpSessionStore();
  const first = await serveHttpMcp(createFakeVmClient([]), { store });
  const client = await first.open({});
  await first.close();
  const second = await serveHttpMcp(createFakeVmClient([]), { store, port: Number(first.url.port) });
  t.after(async () => {
    await client.close();
    await second.close();
    await collector.close();
  });
  const { traceId, traceparent } = newCaller();
  await client.listTools({ _meta: { traceparent } });
  await end();
  const list = await collector.find((span) => span.traceId === traceId);
  assert.deepEqual([list.name, list.attributes["mcp.protocol.version"]], ["tools/list", "2025-11-25"]);
  assert.equal(collector.spans.filter(({ name }) => name === "initialize").length, 1);
});

test("a request over stdio is a span, and what is done for it a part of it", async (t) => {
  const collector = await startTraceCollector();
  const end = await startTelemetry({ url: collector.url, sample: 1 }, "0", () => {});
  t.after(() => collector.close());
  const [input, output] = [new PassThrough(), new PassThrough()];
  const heard: string[] = [];
  output.on("data", (chunk: Buffer) => heard.push(chunk.toString()));
  const serving = serveOverStreams({
    input,
    output,
    registry: new ToolRegistry([]),
    connect: async () => ({}) as never,
    peek: async () => ({}) as never,
    version: "0",
  });
  const { traceId, spanId, traceparent } = newCaller();
  const clientInfo = { name: "test", version: "0" };
  const initialize = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo, _meta: { traceparent } };
  for (const message of [
    { id: 1, method: "initialize", params: initialize },
    { id: 2, method: "tools/list" },
  ]) {
    input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    await waitFor(() => heard.join("").includes(`"id":${message.id}`));
  }
  input.end();
  await serving;
  await end();
  const first = await collector.find((span) => span.traceId === traceId);
  assert.deepEqual(
    [first.name, first.parentSpanId, first.attributes["mcp.protocol.version"], first.attributes["network.transport"]],
    ["initialize", spanId, "2025-11-25", "pipe"],
  );
  const list = await collector.find((span) => span.name === "tools/list");
  assert.equal(list.attributes["mcp.protocol.version"], "2025-11-25");
  assert.equal(list.parentSpanId, "");
});

describe("a collector that takes nothing", () => {
  /** So many spans end at once. */
  const record = (count: number) => {
    for (let index = 0; index < count; index++)
      startSpan({ name: "work", kind: "internal", attributes: {}, parent: undefined }).end();
  };

  test("is told of once, and again when it takes what comes", async (t) => {
    const collector = await startTraceCollector();
    const logged: string[] = [];
    const end = await startTelemetry({ url: collector.url, sample: 1 }, "0", (message) => void logged.push(message));
    t.after(async () => {
      await end();
      await collector.close();
    });
    collector.answerWith(400);
    for (const bodies of [1, 2]) {
      record(1);
      await waitFor(() => collector.bodies.length >= bodies);
    }
    await waitFor(() => logged.length > 0);
    assert.deepEqual(logged, ["traces cannot be exported, and are lost until they can be"]);
    collector.answerWith(200);
    record(1);
    await collector.find(() => true);
    await waitFor(() => logged.length > 1);
    assert.deepEqual(logged.slice(1), ["traces are exported again"]);
  });

  test("is not waited for by more than a queue's worth of spans", async (t) => {
    const collector = await startTraceCollector();
    const end = await startTelemetry({ url: collector.url, sample: 1 }, "0", () => {});
    t.after(async () => {
      await end();
      await collector.close();
    });
    record(20_000);
    const isLast = ({ name }: { name: string }) => name === "last";
    // What waits is sent in its order: once this has come, all that was kept has.
    await waitFor(() => {
      startSpan({ name: "last", kind: "internal", attributes: {}, parent: undefined }).end();
      return collector.spans.some(isLast);
    });
    const kept = collector.spans.findIndex(isLast);
    assert.ok(kept >= 2_000 && kept <= 3_000, `${kept} spans were kept`);
  });

  test("holds up neither work nor the end of the process", async (t) => {
    const collector = await startTraceCollector();
    t.after(() => collector.close());
    collector.answerWith(0);
    const end = await startTelemetry({ url: collector.url, sample: 1 }, "0", () => {});
    record(1_000);
    await waitFor(() => collector.bodies.length > 0);
    // It never answers: an end that waited for it would last for as long as an export may take.
    await end();
    assert.equal(currentContext(), undefined);
  });

  test("is none of anybody's business where nothing listens", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    const logged: string[] = [];
    const url = `http://127.0.0.1:${port}/v1/traces`;
    const end = await startTelemetry({ url, sample: 1 }, "0", (message) => void logged.push(message));
    const { span } = startSpan({ name: "work", kind: "server", attributes: {}, parent: undefined }).context ?? {};
    const result = await within(span === undefined ? undefined : { span }, () =>
      asSpan("part", {}, async () => "done"),
    );
    assert.equal(result, "done");
    await end();
  });
});

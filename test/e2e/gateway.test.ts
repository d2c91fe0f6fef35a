import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import { within } from "../../src/telemetry/tracing.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { ERAS } from "../support/mcp-http.ts";
import { fixtureProgram, vmServer } from "../support/mcp-servers/fixture-server.ts";
import { callText, type OpenClient, serveGateway, type Way } from "../support/mcp-servers/gateway-client.ts";
import { type CollectedSpan, startTraceCollector, type TraceCollector } from "../support/trace-collector.ts";
import { waitFor } from "../support/wait-for.ts";

const SERVER_ERAS = ["legacy", "modern"] as const;

/** The trace that each is part of, by its first digit. */
const callerOf = (digit: string) => ({ traceId: digit.repeat(32), spanId: digit.repeat(16), flags: 1 });

let fixture: DaemonFixture;
let open: OpenClient;
let collector: TraceCollector;
before(async () => {
  collector = await startTraceCollector();
  const endpoint = new URL(collector.url).origin;
  fixture = await startDaemonFixture({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } });
  await fixture.client.servers.apply({
    source: "e2e",
    servers: SERVER_ERAS.map((era) => vmServer(era, fixtureProgram(era))),
  });
  await within({ span: callerOf("a") }, () => fixture.client.servers.start("legacy"));
  open = await serveGateway(fixture);
});
after(async () => {
  await fixture.close();
  await collector.close();
});

const whoami = async (client: Client) =>
  JSON.parse(await callText(client, "whoami")) as { pid: number; cancelled: number; subscribed: string[] };

for (const server of SERVER_ERAS) {
  for (const { era, options } of ERAS) {
    for (const way of ["http", "stdio"] satisfies Way[]) {
      describe(`a ${server} server and a client of revision ${era} over ${way}`, () => {
        let client: Client;
        before(async () => {
          const capabilities = { elicitation: { form: {} }, sampling: {} };
          client = await open(server, { ...options, capabilities }, way);
          client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
        });
        after(() => client.close());

        test("the server is presented as what it is, with its own names", async () => {
          assert.equal(client.getNegotiatedProtocolVersion(), era);
          assert.deepEqual(
            [client.getServerVersion()?.name, client.getInstructions()],
            [`fixture-${server}`, "Ask away."],
          );
          const { tools } = await client.listTools();
          assert.ok(tools.some(({ name, description }) => name === "count" && description === "does count"));
        });

        test("calls keep the server's state, and progress comes as it goes", async () => {
          const [first, second] = [await callText(client, "count"), await callText(client, "count")];
          assert.equal(Number(second), Number(first) + 1);
          const heard: string[] = [];
          const onprogress = ({ message }: { message?: string }) => void heard.push(message ?? "");
          assert.equal(await callText(client, "slow", { steps: 3, ms: 250 }, { onprogress }), "slept");
          assert.deepEqual(heard, ["step 1", "step 2", "step 3"]);
        });

        test("a call that is cancelled is cancelled in the server", async () => {
          const { cancelled } = await whoami(client);
          const aborter = new AbortController();
          const call = callText(client, "slow", { steps: 1, ms: 3_600_000 }, { signal: aborter.signal });
          // It is under way when it has been passed on, which another call after it tells.
          await callText(client, "count");
          aborter.abort();
          await assert.rejects(call);
          await waitFor(async () => (await whoami(client)).cancelled === cancelled + 1);
        });

        test("the server asks, the client's user answers, and the call goes on", async () => {
          assert.deepEqual(JSON.parse(await callText(client, "ask")), { action: "accept", content: { name: "Ada" } });
        });

        test("the server asks the client's model, and the call goes on", async () => {
          client.setRequestHandler("sampling/createMessage", ({ params }) => {
            const [asked] = params.messages;
            return {
              model: "m",
              role: "assistant",
              content: { type: "text", text: `to ${JSON.stringify(asked?.content)}` },
            };
          });
          assert.match(await callText(client, "sample"), /"text":"to .*Your name\?/);
        });

        test("resources, templates, prompts and completion come through", async () => {
          const count = await callText(client, "count");
          const read = async (uri: string) => (await client.readResource({ uri })).contents[0] as { text?: string };
          assert.equal((await read("test://count")).text, count);
          assert.equal((await read("test://item/7")).text, "test://item/7");
          assert.deepEqual(
            (await client.listResources()).resources.map(({ uri }) => uri),
            ["test://count"],
          );
          assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 1);
          assert.equal((await client.listPrompts()).prompts[0]?.name, "greet");
          const { messages } = await client.getPrompt({ name: "greet", arguments: { name: "Ada" } });
          assert.deepEqual(messages[0]?.content, { type: "text", text: "Hello, Ada" });
          const ref = { type: "ref/prompt" as const, name: "greet" };
          const { completion } = await client.complete({ ref, argument: { name: "name", value: "A" } });
          assert.deepEqual(completion.values, ["Ada", "Alan"]);
        });

        test("a resource's changes reach who has subscribed to them", async () => {
          const uri = "test://count";
          let updates = 0;
          client.setNotificationHandler("notifications/resources/updated", () => void updates++);
          if (era === "2025-11-25") await client.subscribeResource({ uri });
          else await client.listen({ resourceSubscriptions: [uri] });
          await waitFor(async () => (await whoami(client)).subscribed.includes(uri));
          await waitFor(async () => {
            await callText(client, "touch");
            return updates > 0;
          });
        });

        test("the server's log reaches the client whose call it is of, from the level on that it wants", async () => {
          const heard: unknown[] = [];
          client.setNotificationHandler("notifications/message", ({ params }) => void heard.push(params.data));
          const wanted = era === "2025-11-25" ? {} : { _meta: { "io.modelcontextprotocol/logLevel": "debug" } };
          if (era === "2025-11-25") await client.setLoggingLevel("debug");
          await client.callTool({ name: "log", arguments: {}, ...wanted });
          await waitFor(() => heard.length >= 3);
          assert.deepEqual(heard, ["a debug", "a info", "a error"]);
        });
      });
    }
  }
}

describe("a trace", () => {
  const NAMES = { legacy: "2025-11-25", modern: "2026-07-28" };

  /** Each span of a trace with the name of the one that it is part of. */
  const treeOf = (traceId: string) => {
    const spans = collector.ofTrace(traceId);
    const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
    return spans.map(({ name, kind, parentSpanId }) => `${kind} ${name} < ${names.get(parentSpanId) ?? parentSpanId}`);
  };

  for (const [index, server] of SERVER_ERAS.entries())
    for (const way of ["http", "stdio"] satisfies Way[])
      test(`has a call of a ${server} server over ${way}, with the start of its VM, and goes on in the VM`, async () => {
        const caller = callerOf(String(1 + 2 * index + (way === "http" ? 0 : 1)));
        const client = await open(server, {}, way);
        await fixture.client.servers.stop(server);
        const _meta = { traceparent: `00-${caller.traceId}-${caller.spanId}-01`, baggage: "k=v" };
        const result = (await client.callTool({
          name: "told",
          arguments: { secret: "word-of-an-argument" },
          _meta,
        })) as {
          content: { text: string }[];
        };
        const told = JSON.parse(result.content[0]?.text ?? "") as Record<string, string>;
        await client.close();
        await collector.find(({ traceId, kind }) => traceId === caller.traceId && kind === "server");
        assert.deepEqual(treeOf(caller.traceId).sort(), [
          "client tools/call told < tools/call told",
          "internal firebreak.vm.start < tools/call told",
          `server tools/call told < ${caller.spanId}`,
        ]);
        const of = (kind: CollectedSpan["kind"]) =>
          collector.ofTrace(caller.traceId).find((span) => span.kind === kind) as CollectedSpan;
        assert.equal(told.traceparent, `00-${caller.traceId}-${of("client").spanId}-01`);
        assert.equal(told.baggage, "k=v");
        assert.equal(of("server").attributes["network.transport"], way === "http" ? "tcp" : "unix");
        assert.equal(of("client").attributes["network.transport"], "pipe");
        assert.equal(of("client").attributes["mcp.protocol.version"], NAMES[server]);
        assert.equal(of("internal").attributes["firebreak.vm.start.from"], "snapshot");
        assert.equal(of("internal").attributes["firebreak.vm.id"], of("client").attributes["firebreak.vm.id"]);
      });

  test("has what a server's first start came to, as part of the request that led to it", () => {
    const tree = treeOf(callerOf("a").traceId).map((line) => line.replace("firebreak.", ""));
    const lines = [...new Set(tree.map((line) => line.replace("firebreak.", "")))];
    assert.deepEqual(lines.sort(), [
      "client initialize < server.prepare",
      "client prompts/list < server.prepare",
      "client resources/list < server.prepare",
      "client resources/templates/list < server.prepare",
      "client server/discover < server.prepare",
      "client tools/list < server.prepare",
      "internal server.install < server.prepare",
      `internal server.prepare < ${callerOf("a").spanId}`,
      "internal server.scan < server.prepare",
      "internal vm.save < server.prepare",
      `internal vm.start < ${callerOf("a").spanId}`,
      "internal vm.start < server.prepare",
    ]);
  });

  test("is begun where a server starts for the first time and nobody has told of one", async () => {
    const isPreparation = ({ name, attributes }: CollectedSpan) =>
      name === "firebreak.server.prepare" && attributes["firebreak.server.name"] === "modern";
    assert.equal((await collector.find(isPreparation)).parentSpanId, "");
  });

  test("has no argument and no result", () => {
    const all = collector.bodies.join();
    for (const word of ["word-of-an-argument", "k=v", "slept", "Ada"]) assert.ok(!all.includes(word), word);
  });
});

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import type { Client } from "@modelcontextprotocol/client";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { RpcPeer } from "../../src/gateway/rpc/peer.ts";
import { listDefinitions } from "../../src/gateway/upstream/definitions.ts";
import { openSession, UpstreamSession, type UpstreamTerms } from "../../src/gateway/upstream/session.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hasCode } from "../support/has-code.ts";
import { fixtureProgram, vmServer } from "../support/mcp-servers/fixture-server.ts";
import { callText, type OpenClient, serveGateway } from "../support/mcp-servers/gateway-client.ts";
import { FORKING_PROGRAM, HOSTILE_PROGRAM, lyingProgram } from "../support/mcp-servers/hostile-server.ts";
import { waitFor } from "../support/wait-for.ts";

const CLIENT = { name: "firebreak", version: "0" };
const TERMS: UpstreamTerms = {
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: { tools: {} },
  serverInfo: { name: "hostile", version: "0" },
};

/** A peer whose server answers each request as it is told to. */
function withServer(answer: (method: string, params: Record<string, unknown>) => unknown): RpcPeer {
  const peer = new RpcPeer({
    server: "hostile",
    onNotification: () => {},
    onRequest: async () => ({}),
    onNoise: () => {},
    onClosed: () => {},
  });
  const { events } = peer;
  peer.attach({
    write: async (line) => {
      const { id, method, params } = JSON.parse(line) as {
        id?: number;
        method: string;
        params: Record<string, unknown>;
      };
      if (id === undefined) return;
      const body = answer(method, params);
      setImmediate(() =>
        events.onOutput(Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", id, ...(body as object) })}\n`)),
      );
    },
    close: () => {},
  });
  return peer;
}

const list = (answer: Parameters<typeof withServer>[0]) =>
  listDefinitions(new UpstreamSession(withServer(answer), TERMS, CLIENT), "hostile");
const isProtocolError = (error: unknown) =>
  hasCode("SERVER_PROTOCOL_ERROR")(error) && /the server 'hostile'/.test((error as FirebreakError).message);

describe("a server whose acquaintance cannot be made", () => {
  for (const [what, opening, result] of [
    ["a revision that nobody knows", "initialize", { protocolVersion: "2099-01-01", capabilities: {} }],
    ["a revision that is none", "initialize", { protocolVersion: { a: 1 } }],
    ["no revision", "initialize", {}],
    ["the new revision to an old question", "initialize", { protocolVersion: "2026-07-28" }],
    ["other revisions than the new one", "discover", { supportedVersions: ["2099-01-01"] }],
    ["something else for the revisions", "discover", { supportedVersions: "2026-07-28" }],
  ] as const)
    test(`since it says ${what}`, async () => {
      const peer = withServer(() => ({ result }));
      await assert.rejects(openSession(peer, opening, CLIENT, "hostile"), isProtocolError);
    });

  test("is taken for what it is with the rest of what it says cut to size", async () => {
    const long = "x".repeat(1_000_000);
    const result = { protocolVersion: "2025-06-18", capabilities: [], serverInfo: { name: long }, instructions: long };
    const terms = await openSession(
      withServer(() => ({ result })),
      "initialize",
      CLIENT,
      "hostile",
    );
    assert.ok(JSON.stringify(terms).length < 20_000);
    assert.deepEqual(terms.capabilities, {});
  });
});

describe("a server whose lists are refused", () => {
  const tool = (index: number, more: object = {}) => ({
    name: `tool${index}`,
    inputSchema: { type: "object" },
    ...more,
  });
  const nested = (levels: number): unknown => (levels === 0 ? {} : { properties: { a: nested(levels - 1) } });
  for (const [what, answer] of [
    ["a hundred thousand tools", () => ({ result: { tools: Array.from({ length: 1e5 }, (_, index) => tool(index)) } })],
    ["pages without end", () => ({ result: { tools: [], nextCursor: "more" } })],
    ["tools that are none", () => ({ result: { tools: [{ name: 5 }] } })],
    ["no list", () => ({ result: { tools: { length: 5 } } })],
    ["an error", () => ({ error: { code: 1, message: "no" } })],
    [
      "a schema that is nested deeper than anybody reads",
      () => ({ result: { tools: [tool(1, { inputSchema: { type: "object", ...(nested(100) as object) } })] } }),
    ],
    [
      "more text than anybody reads",
      () => ({
        result: { tools: Array.from({ length: 100 }, (_, index) => tool(index, { description: "x".repeat(60_000) })) },
      }),
    ],
  ] as const)
    test(`since there is ${what}`, () => assert.rejects(list(answer), isProtocolError));

  test("but where resources or prompts cannot be told, the tools are what there is", async () => {
    const capabilities = { tools: {}, resources: {}, prompts: {} };
    const peer = withServer((method) =>
      method === "tools/list" ? { result: { tools: [tool(1)] } } : { error: { code: -32603, message: "no database" } },
    );
    const found = await listDefinitions(new UpstreamSession(peer, { ...TERMS, capabilities }, CLIENT), "hostile");
    assert.deepEqual(found, { tools: [tool(1)], resources: [], resourceTemplates: [], prompts: [] });
  });

  test("but one that refers to itself is a list like any other", async () => {
    const inputSchema = { type: "object", properties: { self: { $ref: "#" } } };
    const { tools } = await list(() => ({ result: { tools: [tool(1, { inputSchema })] } }));
    assert.deepEqual(tools[0]?.inputSchema, inputSchema);
  });
});

describe("hostile servers in VMs, beside a healthy one", () => {
  /** Of the daemon, over what it had before a server did anything. */
  const MOST_GROWTH_BYTES = 200 * 1024 * 1024;

  let fixture: DaemonFixture;
  let open: OpenClient;
  let hostile: Client;
  let healthy: Client;
  let atFirst: number;
  before(async () => {
    fixture = await startDaemonFixture();
    await fixture.client.servers.apply({
      source: "e2e",
      servers: [
        vmServer("healthy", fixtureProgram("legacy")),
        vmServer("hostile", HOSTILE_PROGRAM, { memoryMib: 512 }),
        vmServer("forking", FORKING_PROGRAM),
        vmServer("lying-version", lyingProgram("version")),
        vmServer("lying-tools", lyingProgram("tools")),
        vmServer("late", HOSTILE_PROGRAM, { limits: { callTimeoutMs: 500 } }),
      ],
    });
    open = await serveGateway(fixture);
    const capabilities = { elicitation: { form: {} }, sampling: {} };
    hostile = await open("hostile", { capabilities });
    healthy = await open("healthy", {});
    await Promise.all([callText(hostile, "ok"), callText(healthy, "count")]);
    await resetPeak();
    atFirst = await peakBytes();
  });
  after(async () => {
    for (const client of [hostile, healthy]) await client.close();
    await fixture.close();
  });

  const statusFile = async () => `/proc/${(await fixture.client.status()).pid}`;
  const resetPeak = async () => writeFile(`${await statusFile()}/clear_refs`, "5");
  const peakBytes = async () => {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`${await statusFile()}/status`, "utf8")) ?? [];
    return Number(kib) * 1024;
  };

  /** What a call of the hostile server comes to. Meanwhile and afterwards the healthy one answers, and the daemon's memory stays in bounds. */
  async function against(tool: string, options: Parameters<typeof callText>[3] = {}): Promise<string> {
    let isOver = false;
    const outcome = callText(hostile, tool, {}, options)
      .catch((error: Error) => `error: ${error.message}`)
      .finally(() => {
        isOver = true;
      });
    do await callText(healthy, "count");
    while (!isOver);
    const result = await outcome;
    await callText(healthy, "count");
    const growth = (await peakBytes()) - atFirst;
    assert.ok(growth < MOST_GROWTH_BYTES, `${tool}: the daemon has grown by ${Math.round(growth / 1024 / 1024)} MiB`);
    return result;
  }

  test("what is printed beside the protocol is the log's, and half a line waits for its other half", async () => {
    assert.equal(await against("noise"), "whole");
    assert.match((await fixture.ok("server", "logs", "hostile")).stdout, /\[not MCP\] "Server listening"/);
  });

  test("a line of 100 MiB is skipped", async () => {
    assert.equal(await against("longLine"), "done");
  });

  test("answers that are too large, too deep, or none are errors that name the server", async () => {
    for (const tool of ["huge", "deep", "wrong"])
      assert.match(await against(tool), /^error: SERVER_PROTOCOL_ERROR: the server 'hostile' /, tool);
  });

  test("the first of two answers counts", async () => {
    assert.equal(await against("twice"), "first");
    assert.equal(await against("ok"), "done");
  });

  test("progress, log and standard error without end are passed on in part", async () => {
    let heard = 0;
    assert.equal(await against("progress", { onprogress: () => void heard++ }), "done");
    assert.ok(heard > 0 && heard < 10_000, String(heard));
    let logged = 0;
    hostile.setNotificationHandler("notifications/message", () => void logged++);
    assert.equal(await against("log"), "done");
    assert.ok(logged > 0 && logged < 10_000, String(logged));
    assert.equal(await against("stderr"), "done");
    assert.ok((await fixture.ok("server", "logs", "hostile")).stdout.length < 4 * 1024 * 1024);
  });

  test("a server that says all the time that it offers something else is asked now and then", async () => {
    assert.equal(await against("fickle"), "done");
    // What it offers anew waits for somebody to approve it.
    await waitFor(async () => (await fixture.client.servers.get("hostile")).waiting > 0);
    assert.ok(!(await hostile.listTools()).tools.some(({ name }) => name.startsWith("changing-")));
    assert.ok(Number(await against("lists")) < 200);
  });

  test("what it asks outside of any call, or while calls of several are under way, is refused", async () => {
    hostile.setRequestHandler("elicitation/create", () => ({ action: "accept", content: {} }));
    assert.deepEqual(JSON.parse(await against("ask")), [{ action: "accept", content: {} }]);
    assert.equal(await against("askLater"), "done");
    // Another call of the same client would be taken for the one that it asks for.
    await waitFor(async () =>
      (await text(await fixture.client.servers.log("hostile", false))).includes("200 have been"),
    );
    const answers = JSON.parse(await against("answers")) as { code?: number }[];
    assert.equal(answers.filter(({ code }) => code === -32_600).length, 200);
    const openAsOther = await serveGateway(fixture, "two");
    const other = await openAsOther("hostile", {});
    const aborter = new AbortController();
    const waiting = callText(other, "hang", {}, { signal: aborter.signal });
    const [refused] = JSON.parse(await against("ask")) as { message: string }[];
    assert.match(refused?.message ?? "", /of one client/);
    aborter.abort();
    await assert.rejects(waiting);
    await other.close();
  });

  test("one that never answers is given up after its time", async () => {
    const late = await open("late", {});
    await assert.rejects(callText(late, "hang"), /DEADLINE_EXCEEDED: the server 'late' did not answer/);
    await late.close();
  });

  test("one that crashes in a call is told of by name, and there again for the next", async () => {
    assert.match(await against("crash"), /^error: SERVER_FAILED: the server 'hostile' was ended by SIGSEGV/);
    assert.equal(await against("ok"), "done");
  });

  test("one that has a revision of its own, or a hundred thousand tools, is told of by name, and no VM of it stays", async () => {
    for (const [server, why] of [
      ["lying-version", /the server 'lying-version' .*2099-01-01/],
      ["lying-tools", /the server 'lying-tools' /],
    ] as const) {
      await assert.rejects(
        fixture.client.servers.prepare(server),
        (error: unknown) => hasCode("SERVER_PROTOCOL_ERROR")(error) && why.test((error as Error).message),
      );
      const { state, vms, tools } = await fixture.client.servers.get(server);
      assert.deepEqual([state, vms, tools], ["failed", [], []]);
      assert.equal(await against("ok"), "done");
    }
  });

  test("one that forks and ends is told of by name, and leaves nothing", async () => {
    await assert.rejects(
      fixture.client.servers.prepare("forking"),
      (error: unknown) => error instanceof FirebreakError && /the server 'forking' has ended/.test(error.message),
    );
    assert.equal((await fixture.client.servers.get("forking")).state, "failed");
    assert.deepEqual((await fixture.client.servers.get("forking")).vms, []);
    assert.equal(await against("ok"), "done");
  });
});

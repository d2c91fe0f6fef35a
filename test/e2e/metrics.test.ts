import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { startTraceCollector } from "../support/trace-collector.ts";

let daemon: DaemonFixture;
before(async () => {
  daemon = await startDaemonFixture();
});
after(() => daemon.close());

async function get(options: http.RequestOptions) {
  const request = http.get({ path: "/metrics", agent: false, ...options });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return { status: response.statusCode, type: response.headers["content-type"], body: await text(response) };
}

test("figures are there over the socket, and over TCP for who has a key", async () => {
  const { status, type, body } = await get({ socketPath: daemon.paths.socket });
  assert.deepEqual([status, type], [200, "text/plain; version=0.0.4; charset=utf-8"]);
  for (const line of body.trimEnd().split("\n"))
    assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+)$/);
  assert.ok(body.includes('firebreak_vms{state="running"} 0\n'));
  const { key } = await daemon.client.keys.create({ name: "prometheus" });
  const { url } = await daemon.client.listen({ address: "127.0.0.1:0" });
  const { hostname, port } = new URL(url as string);
  assert.equal((await get({ hostname, port })).status, 401);
  const authorised = await get({ hostname, port, headers: { authorization: `Bearer ${key}` } });
  assert.equal(authorised.status, 200);
  assert.ok(authorised.body.includes("process_resident_memory_bytes "));
});

/** A request at `/mcp` over the socket, as part of a trace. */
async function initializeOverSocket(traceId: string): Promise<void> {
  const clientInfo = { name: "test", version: "0" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  const request = http.request({
    socketPath: daemon.paths.socket,
    path: "/mcp",
    method: "POST",
    agent: false,
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      traceparent: `00-${traceId}-${"b".repeat(16)}-01`,
    },
  });
  request.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  assert.equal(response.statusCode, 200);
  await text(response);
}

test("a daemon whose configuration names a collector exports traces there, the last ones as it ends", async (t) => {
  const collector = await startTraceCollector();
  t.after(() => collector.close());
  const configFile = path.join(daemon.paths.home, "firebreak.toml");
  await daemon.ok("daemon", "stop");
  await writeFile(configFile, `[telemetry]\ntraces = "${collector.url}"\n`);
  await daemon.ok("daemon", "start");
  const traceId = "c".repeat(32);
  await initializeOverSocket(traceId);
  await daemon.ok("daemon", "stop");
  // It has ended: what is not there now does not come any more.
  assert.deepEqual(
    collector
      .ofTrace(traceId)
      .map(({ name, kind, parentSpanId, attributes }) => [
        name,
        kind,
        parentSpanId,
        attributes["network.transport"],
        attributes["mcp.protocol.version"],
      ]),
    [["initialize", "server", "b".repeat(16), "unix", "2025-11-25"]],
  );

  collector.answerWith(0);
  await daemon.ok("daemon", "start");
  await initializeOverSocket("d".repeat(32));
  await daemon.ok("daemon", "stop");

  await writeFile(configFile, '[telemetry]\ntraces = "nowhere"\n');
  await daemon.ok("daemon", "start");
  await initializeOverSocket("e".repeat(32));
  assert.match(await readFile(daemon.paths.daemonLog, "utf8"), /firebreak\.toml:2: telemetry\.traces: a URL is wanted/);
});

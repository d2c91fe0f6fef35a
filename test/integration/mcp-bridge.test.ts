import assert from "node:assert/strict";
import http from "node:http";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import type { Endpoint } from "../../src/client/endpoint.ts";
import { serveBridge } from "../../src/mcp/bridge/serve.ts";
import { createFakeVmClient } from "../support/fake-vm-client.ts";
import { serveHttpMcp } from "../support/mcp-http.ts";

test("what a client says before its session is there is said in it", async () => {
  const mcp = await serveHttpMcp(createFakeVmClient());
  const [input, output] = [new PassThrough(), new PassThrough()];
  const reach = async (): Promise<Endpoint> => ({
    open: ({ path, ...head }) =>
      http.request({ host: mcp.url.hostname, port: mcp.url.port, path, agent: false, ...head }),
    explainFailure: () => undefined,
    explainVersion: () => undefined,
  });
  const served = serveBridge({
    ...{ input, output, reach, peek: reach, path: mcp.url.pathname },
    stop: new AbortController().signal,
  });
  const initialize = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "hasty", version: "0" } };
  for (const message of [
    { id: 1, method: "initialize", params: initialize },
    { method: "notifications/initialized" },
    { id: 2, method: "tools/list" },
  ])
    input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  input.end();
  await served;
  const answers = String(output.read())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: number; result?: { tools?: unknown[] }; error?: unknown });
  assert.deepEqual(
    answers.map(({ id, error }) => [id, error]),
    [
      [1, undefined],
      [2, undefined],
    ],
  );
  assert.ok((answers[1]?.result?.tools?.length ?? 0) > 0);
  await mcp.close();
});

import {
  type CallToolResult,
  Client,
  type ClientOptions,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import type { DaemonClient } from "../src/client/daemon-client.ts";
import { startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { ERAS } from "../test/support/mcp-http.ts";
import { median, overheadRow, percentile, type Row, round, sample } from "./stats.ts";

const ROUNDS = 12;
const PER_ROUND = 20;
const MAX_OVERHEAD_MS = 3;
const VMS = ["mcp-0", "mcp-1", "mcp-2", "mcp-3"];
const AT_ONCE = 64;
const BURSTS = 6;
const MAX_TAIL_RATIO = 10;

/** Commands by MCP over Streamable HTTP, as an SDK's client on loopback with an API key calls them, in both protocol eras. */
export async function* benchMcp(): AsyncGenerator<Row> {
  const { client, close } = await startDaemonFixture();
  try {
    const { key } = await client.keys.create({ name: "bench" });
    await client.listen({ address: "127.0.0.1:0" });
    const url = new URL("/mcp", (await client.status()).listen?.url);
    for (const name of VMS) await client.vms.create({ name, memoryMib: 256, accel: "tcg" });
    const clients = [];
    for (const { era, options } of ERAS) clients.push({ era, mcp: await connectMcp(url, key, options) });
    const direct = () => sample(PER_ROUND, () => runTrue(client, "mcp-0"));
    const over = (mcp: Client) => sample(PER_ROUND, () => callTrue(mcp, "mcp-0"));
    const floorSamples: number[] = [];
    const samples = new Map<string, number[]>(ERAS.map(({ era }) => [era, []]));
    for (const { mcp } of clients) await over(mcp); // warms up
    await direct();
    // By turns, so that noise hits all.
    for (let turn = 0; turn < ROUNDS; turn++) {
      floorSamples.push(...(await direct()));
      for (const { era, mcp } of clients) samples.get(era)?.push(...(await over(mcp)));
    }
    for (const [era, ms] of samples)
      yield overheadRow({
        what: `run_command of \`true\` over Streamable HTTP, ${era}, p50`,
        samples: ms,
        floorSamples,
        floorIs: "the same exec by the daemon's own client on its socket",
        maxMs: MAX_OVERHEAD_MS,
      });
    for (const { era, mcp } of clients) yield await burstRow(era, mcp);
    for (const { mcp } of clients) await mcp.close();
  } finally {
    await close();
  }
}

/** An SDK's client with an API key. */
export async function connectMcp(url: URL, key: string, options: ClientOptions): Promise<Client> {
  const client = new Client({ name: "bench", version: "0" }, options);
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return client;
}

async function runTrue(client: DaemonClient, vm: string): Promise<void> {
  for await (const _ of (await client.execs.start(vm, { argv: ["true"] })).output());
}

async function callTrue(mcp: Client, vm: string): Promise<void> {
  const call = { name: "run_command", arguments: { vm, argv: ["true"] } };
  const result = (await mcp.callTool(call, { timeout: 180_000 })) as CallToolResult;
  if (result.isError) throw new Error(JSON.stringify(result.content));
}

/** Each burst's calls are sent at once; an error of any ends the bench. */
async function burstRow(era: string, mcp: Client): Promise<Row> {
  const samples: number[] = [];
  for (let burst = 0; burst < BURSTS; burst++) {
    const startedMs = performance.now();
    const calls = Array.from({ length: AT_ONCE }, async (_, index) => {
      await callTrue(mcp, VMS[index % VMS.length] as string);
      samples.push(performance.now() - startedMs);
    });
    await Promise.all(calls);
  }
  const [p50, p99] = [median(samples), percentile(samples, 0.99)];
  return {
    what: `${AT_ONCE} calls at once over ${VMS.length} VMs, ${era}, p99`,
    unit: "ms",
    value: round(p99),
    note: "no error",
    floor: round(p50),
    floorIs: "their p50",
    bar: `at most ${MAX_TAIL_RATIO} x the floor (is ${round(p99 / p50, 2)} x)`,
    limit: round(p50 * MAX_TAIL_RATIO),
    holds: p99 <= p50 * MAX_TAIL_RATIO,
    samples: samples.map((ms) => round(ms)),
  };
}

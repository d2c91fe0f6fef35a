import type { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { HostDisk } from "../src/daemon/host-disk.ts";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { SavedFolder } from "../src/snapshots/saved-folder.ts";
import { type DaemonFixture, startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { ERAS } from "../test/support/mcp-http.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { connectMcp } from "./mcp.ts";
import { RestoreFloor } from "./restore-floor.ts";
import { overheadRow, type Row, ratioRow, round, sample } from "./stats.ts";
import { openDirect } from "./stdio-server.ts";

const MEMORY_MIB = 256;
const ROUNDS = 12;
const PER_ROUND = 20;
const MAX_OVERHEAD_MS = 3;
const STARTS = 15;
const MAX_START_RATIO = 10;
const AT_ONCE = 20;
const AT_ONCE_ROUNDS = 3;
const MAX_AT_ONCE_RATIO = 6;
const CONNECTS = 1_000;
const MAX_RSS_RATIO = 1.1;
const FLOOR_IS = "bare QEMU, the same saved server: from its start to the agent's answer to GET /v1/hello";

/** A server that answers at once, so that what is measured is the way to it. */
const CODE = `
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method } = JSON.parse(line);
  const answer = (result) => console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
  if (method === "initialize") answer({ protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "echo", version: "1" } });
  else if (method === "tools/list") answer({ tools: [{ name: "echo", description: "Answers.", inputSchema: { type: "object" } }] });
  else if (method === "tools/call") answer({ content: [{ type: "text", text: "ok" }] });
  else if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }));
});
`;
const ARGV = ["node", "-e", CODE];

const serverOf = (name: string) => ({
  kind: "vm" as const,
  name,
  command: ARGV,
  network: { mode: "none" as const },
  memoryMib: MEMORY_MIB,
  cpus: 1,
  diskMib: 1024,
  idleTimeoutMs: 3_600_000,
});

/** MCP servers in VMs through the gateway, as an SDK's client on loopback calls them. */
export async function* benchGateway(setting: Setting): AsyncGenerator<Row> {
  const fixture = await startDaemonFixture();
  const { client } = fixture;
  try {
    const { key } = await client.keys.create({ name: "bench" });
    await client.listen({ address: "127.0.0.1:0" });
    const base = (await client.status()).listen?.url;
    const names = Array.from({ length: AT_ONCE }, (_, index) => `echo-${index}`);
    await client.servers.apply({ source: "bench", servers: names.map(serverOf) });
    await client.servers.start("echo-0");
    yield* await benchWarm(fixture, new URL("/servers/echo-0/mcp", base), key);
    const floor = await openFloor(setting, fixture);
    try {
      const mcp = await connectMcp(new URL("/servers/echo-0/mcp", base), key, ERAS[0]?.options ?? {});
      yield await benchStart(fixture, mcp, floor);
      await mcp.close();
      yield await benchAtOnce(fixture, names, base ?? "", key, floor);
    } finally {
      floor.close();
    }
    yield await benchConnects(fixture, new URL("/servers/echo-0/mcp", base), key);
  } finally {
    await fixture.close();
  }
}

const call = async (mcp: Client) => void (await mcp.callTool({ name: "echo", arguments: {} }, { timeout: 120_000 }));

async function benchWarm({ client }: DaemonFixture, url: URL, key: string): Promise<Row[]> {
  const [vm = ""] = (await client.servers.get("echo-0")).vms;
  const direct = await openDirect(client, vm, ARGV);
  const clients = [];
  for (const { era, options } of ERAS) clients.push({ era, mcp: await connectMcp(url, key, options) });
  const floorSamples: number[] = [];
  const samples = new Map<string, number[]>(clients.map(({ era }) => [era, []]));
  for (const { mcp } of clients) await sample(PER_ROUND, () => call(mcp)); // warms up
  await sample(PER_ROUND, () => direct.call());
  for (let turn = 0; turn < ROUNDS; turn++) {
    floorSamples.push(...(await sample(PER_ROUND, () => direct.call())));
    for (const { era, mcp } of clients) samples.get(era)?.push(...(await sample(PER_ROUND, () => call(mcp))));
  }
  for (const { mcp } of clients) await mcp.close();
  direct.close();
  return [...samples].map(([era, ms]) =>
    overheadRow({
      what: `a call of a server in its VM through the gateway, Streamable HTTP, ${era}, p50`,
      samples: ms,
      floorSamples,
      floorIs: "the same server in the same VM, over its standard input and output",
      maxMs: MAX_OVERHEAD_MS,
    }),
  );
}

async function openFloor(setting: Setting, { paths, client }: DaemonFixture): Promise<RestoreFloor> {
  const folder = new SavedFolder(paths.snapshots, new HostDisk(agentBinaryPath()));
  const { snapshot } = (await client.vms.list()).find(({ name }) => name === "mcp-echo-0") ?? {};
  const saved = (await folder.list(() => {})).find(({ manifest }) => manifest.id === snapshot);
  if (saved === undefined) throw new Error("the server has not been saved");
  const { rootfsPath } = await setting.library.resolveImage(saved.manifest.imageDigest, {});
  return RestoreFloor.open(saved, rootfsPath);
}

async function benchStart({ client }: DaemonFixture, mcp: Client, floor: RestoreFloor): Promise<Row> {
  const samples: number[] = [];
  const floorSamples: number[] = [];
  for (let index = -1; index < STARTS; index++) {
    const floorMs = await floor.measure();
    await client.servers.stop("echo-0");
    const startedMs = performance.now();
    await call(mcp);
    if (index < 0) continue;
    samples.push(performance.now() - startedMs);
    floorSamples.push(floorMs);
  }
  return ratioRow({
    what: "the first call of a server that is stopped, p50",
    samples,
    floorSamples,
    floorIs: FLOOR_IS,
    maxRatio: MAX_START_RATIO,
  });
}

async function benchAtOnce(
  { client }: DaemonFixture,
  names: string[],
  base: string,
  key: string,
  floor: RestoreFloor,
): Promise<Row> {
  for (const name of names) await client.servers.prepare(name);
  const clients = [];
  for (const name of names)
    clients.push(await connectMcp(new URL(`/servers/${name}/mcp`, base), key, ERAS[0]?.options ?? {}));
  const samples: number[] = [];
  const floorSamples: number[] = [];
  for (let turn = 0; turn < AT_ONCE_ROUNDS; turn++) {
    floorSamples.push(await floor.measure(AT_ONCE));
    for (const name of names) await client.servers.stop(name);
    const startedMs = performance.now();
    await Promise.all(clients.map(call));
    samples.push(performance.now() - startedMs);
  }
  for (const mcp of clients) await mcp.close();
  for (const name of names.slice(1)) await client.servers.stop(name);
  return ratioRow({
    what: `${AT_ONCE} servers that are stopped, called at once, until the last has answered`,
    samples,
    floorSamples,
    floorIs: `${AT_ONCE} at once of: ${FLOOR_IS}`,
    maxRatio: MAX_AT_ONCE_RATIO,
  });
}

/** A third of the clients go without a word. */
async function benchConnects({ client }: DaemonFixture, url: URL, key: string): Promise<Row> {
  const one = async (index: number) => {
    const mcp = await connectMcp(url, key, ERAS[index % ERAS.length]?.options ?? {});
    if (index % 3 === 0) {
      // Its stream ends in mid-call.
      const gone = call(mcp).catch(() => {});
      await (mcp.transport as StreamableHTTPClientTransport).close();
      await gone;
    } else {
      await call(mcp);
      await mcp.close();
    }
  };
  for (let index = 0; index < 50; index++) await one(index); // warms up
  const before = (await client.status()).rssBytes;
  const vmsBefore = (await client.vms.list()).length;
  for (let index = 0; index < CONNECTS; index++) await one(index);
  const after = (await client.status()).rssBytes;
  const left = (await client.vms.list()).length - vmsBefore;
  return {
    what: `the daemon after ${CONNECTS} clients that connect, call and go, a third of them abruptly`,
    unit: "MiB",
    value: round(after / 1024 ** 2),
    note: left === 0 ? "no VM is left" : `${left} VMs are left`,
    floor: round(before / 1024 ** 2),
    floorIs: "the same daemon before them",
    bar: `at most ${MAX_RSS_RATIO} x the floor (is ${round(after / before, 2)} x), and no VM left`,
    limit: round((before / 1024 ** 2) * MAX_RSS_RATIO),
    holds: after <= before * MAX_RSS_RATIO && left === 0,
  };
}

import { setTimeout as sleep } from "node:timers/promises";
import { ERAS } from "../test/support/mcp-http.ts";
import { ECHO_ARGV } from "./echo-server.ts";
import { call, type GatewaySetting } from "./gateway-setting.ts";
import { connectMcp } from "./mcp.ts";
import type { Peers } from "./peers.ts";
import { median, overheadRow, type Row, round, sample } from "./stats.ts";
import { openDirect, openOnHost } from "./stdio-server.ts";

const ROUNDS = 20;
const PER_ROUND = 15;
const MAX_OVERHEAD_MS = 3;
const READY_ROUNDS = 8;
const READY_PER_ROUND = 10;
const DIRECT = "the same server in the same VM, over its standard input and output";

/** A way to the echo server, and how long calls took by it. */
interface Way {
  call: () => Promise<void>;
  close: () => Promise<void> | void;
  samples: number[];
}

/** Calls of a server that runs: directly, through the gateway, and through others on the host. All by turns, so that noise hits all. */
export async function benchWarm({ fixture, connect }: GatewaySetting, server: string, peers: Peers): Promise<Row[]> {
  const { client } = fixture;
  const [vm = ""] = (await client.servers.get(server)).vms;
  const direct: Way = { ...(await openDirect(client, vm, ECHO_ARGV)), samples: [] };
  const onHost: Way = { ...(await openOnHost(peers.serverArgv)), samples: [] };
  const ours = new Map<string, Way>();
  for (const era of ERAS) ours.set(era.era, wayOf(await connect(server, era)));
  const theirs: { name: string; era: string; way: Way }[] = [];
  for (const { name, url, eras } of peers.all)
    for (const { era, options } of ERAS.filter((each) => eras.includes(each.era)))
      theirs.push({ name, era, way: wayOf(await connectMcp(url, "", options)) });
  const ways = [direct, onHost, ...ours.values(), ...theirs.map(({ way }) => way)];
  for (let turn = -1; turn < ROUNDS; turn++)
    for (const way of ways) {
      const took = await sample(PER_ROUND, way.call);
      if (turn >= 0) way.samples.push(...took); // the first warms up
    }
  for (const way of ways) await way.close();
  return [
    ...[...ours].map(([era, { samples }]) =>
      overheadRow({
        what: `a call of a server in its VM through the gateway, Streamable HTTP, ${era}, p50`,
        samples,
        floorSamples: direct.samples,
        floorIs: DIRECT,
        maxMs: MAX_OVERHEAD_MS,
      }),
    ),
    ...theirs.map(({ name, era, way }) => peerRow(name, era, way, onHost)),
    ...theirs.map(({ name, era, way }) => {
      const own = ours.get(era) as Way; // all eras of a peer's are ours
      return shareRow(name, era, shareOf(own, direct), shareOf(way, onHost));
    }),
  ];
}

function wayOf(mcp: Awaited<ReturnType<typeof connectMcp>>): Way {
  return { call: () => call(mcp), close: () => mcp.close(), samples: [] };
}

/** What a way takes besides what the server takes without it, ms. */
const shareOf = (way: Way, direct: Way) => median(way.samples) - median(direct.samples);

function peerRow(name: string, era: string, { samples }: Way, onHost: Way): Row {
  return {
    what: `a call of the same server on the host through ${name}, Streamable HTTP, ${era}, p50`,
    unit: "ms",
    value: round(median(samples), 2),
    floor: round(median(onHost.samples), 2),
    floorIs: "the same server on the host, over its standard input and output",
    bar: `none: it is what the gateway's own share is held against (is ${round(median(samples) - median(onHost.samples), 2)} ms above the floor)`,
    holds: true,
    samples: samples.map((ms) => round(ms, 2)),
    floorSamples: onHost.samples.map((ms) => round(ms, 2)),
  };
}

function shareRow(name: string, era: string, ours: number, theirs: number): Row {
  return {
    what: `the gateway's own share of a call, ${era}, beside that of ${name}`,
    unit: "ms",
    value: round(ours, 2),
    floor: round(theirs, 2),
    floorIs: `what ${name} adds to a call of the same server on the host, where there is no VM beside it`,
    bar: "at most the floor",
    limit: round(theirs, 2),
    holds: ours <= theirs,
  };
}

/** Calls of a server that is kept ready, after pauses in which another one would have stopped. */
export async function benchKeptReady(
  { fixture, connect }: GatewaySetting,
  server: string,
  pauseMs: number,
): Promise<Row[]> {
  const { client } = fixture;
  const [vm = ""] = (await client.servers.get(server)).vms;
  const direct: Way = { ...(await openDirect(client, vm, ECHO_ARGV)), samples: [] };
  const ours = wayOf(await connect(server));
  const firsts = new Map<Way, number[]>([
    [direct, []],
    [ours, []],
  ]);
  for (let turn = -1; turn < READY_ROUNDS; turn++)
    for (const [way, first] of firsts) {
      await sleep(pauseMs);
      const took = await sample(READY_PER_ROUND, way.call);
      if (turn < 0) continue; // warms up
      first.push(took[0] as number);
      way.samples.push(...took);
    }
  const { vms } = await client.servers.get(server);
  for (const way of [direct, ours]) await way.close();
  const row = overheadRow({
    what: `calls of a server that is kept ready, ${READY_PER_ROUND} in a row after pauses of ${pauseMs / 1_000} s, p50`,
    samples: ours.samples,
    floorSamples: direct.samples,
    floorIs: `${DIRECT}, after the same pauses`,
    maxMs: MAX_OVERHEAD_MS,
  });
  const isKept = vms.length === 1 && vms[0] === vm;
  const [firstDirect, firstOurs] = [direct, ours].map((way) => round(median(firsts.get(way) as number[]), 2));
  const stayed = isKept ? "in one VM all the time" : "its VM did not stay";
  const note = `${stayed}; the first after each pause ${firstOurs} ms, directly ${firstDirect} ms`;
  return [{ ...row, note, holds: row.holds && isKept }];
}

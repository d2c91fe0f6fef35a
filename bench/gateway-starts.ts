import type { Client } from "@modelcontextprotocol/client";
import { ECHO_ARGV, ECHO_VM } from "./echo-server.ts";
import { call, type GatewaySetting } from "./gateway-setting.ts";
import type { RestoreFloor } from "./restore-floor.ts";
import { type Row, ratioRow, round, sample } from "./stats.ts";
import { openDirect, openOnHost } from "./stdio-server.ts";

const STARTS = 15;
const MAX_START_RATIO = 10;
/** Of what takes seconds, and of what is printed only. */
const COLD_STARTS = 5;
const AT_ONCE_ROUNDS = 3;
const MAX_AT_ONCE_RATIO = 6;
const FLOOR_IS = "bare QEMU, the same saved server: from its start to the agent's answer to GET /v1/hello";

/** The first call of a server that is stopped, and what it would take without a saved one, or without a VM. */
export async function benchStart(
  { fixture, connect }: GatewaySetting,
  server: string,
  floor: RestoreFloor,
): Promise<Row[]> {
  const { client } = fixture;
  const mcp = await connect(server);
  const samples: number[] = [];
  const floorSamples: number[] = [];
  for (let index = -1; index < STARTS; index++) {
    const floorMs = await floor.measure();
    await client.servers.stop(server);
    const [ms = 0] = await sample(1, () => call(mcp));
    if (index < 0) continue;
    samples.push(ms);
    floorSamples.push(floorMs);
  }
  await mcp.close();
  const cold = await sample(COLD_STARTS, async () => {
    const vm = await client.vms.create({ ...ECHO_VM, accel: "tcg", cold: true });
    const direct = await openDirect(client, vm.name, ECHO_ARGV);
    await direct.call();
    direct.close();
    await client.vms.delete(vm.name);
  });
  const onHost = await sample(COLD_STARTS, async () => {
    const direct = await openOnHost(ECHO_ARGV);
    await direct.call();
    direct.close();
  });
  const row = { samples, floorSamples, floorIs: FLOOR_IS };
  return [
    ratioRow({ ...row, what: "the first call of a server that is stopped, p50", maxRatio: MAX_START_RATIO }),
    printedRow({
      ...row,
      what: "the same call where nothing has been saved: a VM that boots, and a server that starts",
      samples: cold,
    }),
    printedRow({ ...row, what: "the same call without any VM: a server that starts on the host", samples: onHost }),
  ];
}

function printedRow(given: { what: string; samples: number[]; floorSamples: number[]; floorIs: string }): Row {
  const row = ratioRow({ ...given, maxRatio: Number.POSITIVE_INFINITY });
  const { limit: _, ...rest } = row;
  return { ...rest, bar: `none: for comparison (is ${round(row.value / (row.floor ?? Number.NaN), 2)} x the floor)` };
}

/** Servers that are stopped, called at once; others that are there stay as they are. */
export async function benchAtOnce(
  { fixture, connect }: GatewaySetting,
  names: string[],
  uncalled: string[],
  floor: RestoreFloor,
): Promise<Row> {
  const { client } = fixture;
  const count = names.length;
  for (const name of [...names, ...uncalled]) await client.servers.prepare(name);
  for (const name of [...names, ...uncalled]) await client.servers.stop(name);
  const clients: Client[] = [];
  for (const name of names) clients.push(await connect(name));
  const samples: number[] = [];
  const floorSamples: number[] = [];
  let started = 0;
  for (let turn = 0; turn < AT_ONCE_ROUNDS; turn++) {
    floorSamples.push(await floor.measure(count));
    for (const name of names) await client.servers.stop(name);
    samples.push(...(await sample(1, async () => void (await Promise.all(clients.map(call))))));
    started = Math.max(started, (await client.vms.list()).length);
  }
  for (const mcp of clients) await mcp.close();
  const unasked = (await Promise.all(uncalled.map((name) => client.servers.get(name)))).flatMap(({ vms }) => vms);
  for (const name of names.slice(1)) await client.servers.stop(name);
  const row = ratioRow({
    what: `${count} servers that are stopped, called at once, until the last has answered`,
    samples,
    floorSamples,
    floorIs: `${count} at once of: ${FLOOR_IS}`,
    maxRatio: MAX_AT_ONCE_RATIO,
  });
  const isOnlyThese = started === count && unasked.length === 0;
  const note = isOnlyThese
    ? `none of ${uncalled.length} others was started`
    : `${started} VMs for ${count} servers; of others: ${unasked.join(", ") || "none"}`;
  return { ...row, note, holds: row.holds && isOnlyThese };
}

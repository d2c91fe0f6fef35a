import { setTimeout as sleep } from "node:timers/promises";
import type { Vm } from "../src/contract/vm.ts";
import { HostDisk } from "../src/daemon/host-disk.ts";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { SavedFolder } from "../src/snapshots/saved-folder.ts";
import { type DaemonFixture, startDaemonFixture } from "../test/support/daemon-fixture.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { readMemory } from "./memory.ts";
import { FLOOR_IS, RestoreFloor } from "./restore-floor.ts";
import { limitRow, median, type Row, ratioRow } from "./stats.ts";

const MEMORY_MIB = 256;
const VM = { memoryMib: MEMORY_MIB, cpus: 1, accel: "tcg" } as const;
const WARM_UPS = 2;
const SAMPLES = 21;
const AT_ONCE = 20;
const AT_ONCE_ROUNDS = 3;
const SNAPSHOTS = 21;
const DIRTY_MIB = 50;
/** For what the last sample left behind (a VMM's memory, a deleted drive's blocks) to be given back before the next one, ms. */
const PAUSE_MS = 150;
/** From when on a fork counts as idle, ms. */
const IDLE_MS = 5_000;

const MAX_RATIO = { create: 3, run: 6, atOnce: 3, resume: 0.5 };
const MAX_FORK_MIB = 45;
const MAX_SNAPSHOT_MS = 1_000;
const MAX_STOPPED_MS = 300;

/**
 * VMs as forks of a template, against a bare restore of that template. The daemon is a process of its own, and times are a client's on its
 * socket: what a request costs on the way to the daemon and back is in them. Floor and measured take turns, so that noise hits both.
 */
export async function* benchForks(setting: Setting): AsyncGenerator<Row> {
  const fixture = await startDaemonFixture();
  try {
    // Templates are made on first use; that is not what is measured.
    await fixture.client.vms.delete((await createAndUse(fixture)).id);
    await runProgram(fixture);
    const floor = await openFloor(setting, fixture);
    try {
      yield* await benchOne(fixture, floor);
      yield* await benchAtOnce(fixture, floor);
      yield* await benchSnapshot(fixture);
    } finally {
      floor.close();
    }
  } finally {
    await fixture.close();
  }
}

async function openFloor(setting: Setting, { paths }: DaemonFixture): Promise<RestoreFloor> {
  const folder = new SavedFolder(paths.templates, new HostDisk(agentBinaryPath()));
  const all = await folder.list((id, error) => {
    throw new Error(`the template ${id} is not whole`, { cause: error });
  });
  const template = all.find(({ manifest }) => manifest.machine.memoryMib === MEMORY_MIB);
  if (template === undefined) throw new Error("the daemon has made no template");
  const { rootfsPath } = await setting.library.resolveImage(template.manifest.imageDigest, {});
  return RestoreFloor.open(template, rootfsPath);
}

/** One VM at a time. */
async function benchOne(fixture: DaemonFixture, floor: RestoreFloor): Promise<Row[]> {
  const { client } = fixture;
  const samples = { floor: [] as number[], create: [] as number[], run: [] as number[], resume: [] as number[] };
  // Stands still but for its own turn.
  const pausing = await createAndUse(fixture);
  await client.vms.pause(pausing.id);
  for (let index = -WARM_UPS; index < SAMPLES; index++) {
    const note = (kind: keyof typeof samples, ms: number) => {
      if (index >= 0) samples[kind].push(ms);
      return sleep(PAUSE_MS);
    };
    await note("floor", await floor.measure());

    const createMs = performance.now();
    const { id } = await createAndUse(fixture);
    const createdMs = performance.now() - createMs;
    await client.vms.delete(id);
    await note("create", createdMs);

    const runMs = performance.now();
    await runProgram(fixture);
    await note("run", performance.now() - runMs);

    const resumeMs = performance.now();
    await client.vms.resume(pausing.id);
    await execTrue(fixture, pausing);
    const resumedMs = performance.now() - resumeMs;
    await client.vms.pause(pausing.id);
    await note("resume", resumedMs);
  }
  await client.vms.delete(pausing.id);
  const row = (what: string, kind: "create" | "run" | "resume") =>
    ratioRow({
      what,
      samples: samples[kind],
      floorSamples: samples.floor,
      floorIs: FLOOR_IS,
      maxRatio: MAX_RATIO[kind],
    });
  return [
    row("`vm create` request to the result of its first command, p50", "create"),
    row("`bin/firebreak run -- true`, whole process, p50", "run"),
    row("resume from pause to the first command's result, p50", "resume"),
  ];
}

/** Many at once, and what they take when they do nothing. */
async function benchAtOnce(fixture: DaemonFixture, floor: RestoreFloor): Promise<Row[]> {
  const samples: number[] = [];
  const floorSamples: number[] = [];
  let vms: Vm[] = [];
  for (let round = 0; round < AT_ONCE_ROUNDS; round++) {
    for (const vm of vms) await fixture.client.vms.delete(vm.id);
    await sleep(PAUSE_MS);
    floorSamples.push(await floor.measure(AT_ONCE));
    await sleep(PAUSE_MS);
    const startedMs = performance.now();
    vms = await Promise.all(Array.from({ length: AT_ONCE }, () => createAndUse(fixture)));
    samples.push(performance.now() - startedMs);
  }
  await sleep(IDLE_MS);
  const memory = vms.map((vm) => readMemory(vm.pid as number)); // running VMs have a process
  for (const vm of vms) await fixture.client.vms.delete(vm.id);
  const mean = (pick: (each: (typeof memory)[number]) => number) =>
    Math.round(memory.reduce((sum, each) => sum + pick(each), 0) / memory.length);
  const what = `${AT_ONCE} VMs created at once, all have answered a command, p50`;
  return [
    ratioRow({
      what,
      samples,
      floorSamples,
      floorIs: `${AT_ONCE} bare restores at once, all have answered`,
      maxRatio: MAX_RATIO.atOnce,
    }),
    limitRow({
      what: `memory of an idle fork of ${MEMORY_MIB} MiB (PSS), mean of ${AT_ONCE}`,
      unit: "MiB",
      value: memory.reduce((sum, { pssMib }) => sum + pssMib, 0) / memory.length,
      note: `resident ${mean((each) => each.rssMib)} MiB, of which ${mean((each) => each.sharedMib)} MiB are the template's and shared by all`,
      limit: MAX_FORK_MIB,
      digits: 1,
      samples: memory.map(({ pssMib }) => pssMib),
    }),
  ];
}

/** A snapshot of a VM that has written to much of its memory, and goes on. */
async function benchSnapshot(fixture: DaemonFixture): Promise<Row[]> {
  const { client } = fixture;
  const vm = await createAndUse(fixture);
  // Random, so that nothing on the way makes less of it.
  await exec(fixture, vm, ["sh", "-c", `head -c ${DIRTY_MIB}M /dev/urandom > /dev/shm/dirty`]);
  const samples: number[] = [];
  const stopped: number[] = [];
  for (let index = 0; index < SNAPSHOTS; index++) {
    await sleep(PAUSE_MS);
    const startedMs = performance.now();
    const snapshot = await client.snapshots.create(vm.id, undefined);
    samples.push(performance.now() - startedMs);
    stopped.push(snapshot.stoppedMs);
    await client.snapshots.delete(snapshot.id);
  }
  await client.vms.delete(vm.id);
  return [
    limitRow({
      what: `snapshot of a running ${MEMORY_MIB} MiB VM with ${DIRTY_MIB} MiB dirty, p50`,
      unit: "ms",
      value: median(samples),
      limit: MAX_SNAPSHOT_MS,
      samples,
    }),
    limitRow({
      what: `how long the VM stands still for it, worst of ${SNAPSHOTS}`,
      unit: "ms",
      value: Math.max(...stopped),
      limit: MAX_STOPPED_MS,
      samples: stopped,
    }),
  ];
}

async function createAndUse(fixture: DaemonFixture): Promise<Vm> {
  const vm = await fixture.client.vms.create(VM);
  await execTrue(fixture, vm);
  return vm;
}

function execTrue(fixture: DaemonFixture, vm: Vm): Promise<void> {
  return exec(fixture, vm, ["true"]);
}

async function exec({ client }: DaemonFixture, vm: Vm, argv: string[]): Promise<void> {
  const stream = await client.execs.start(vm.id, { argv });
  for await (const _ of stream.output());
  if (stream.exit?.exitCode !== 0) throw new Error(`${argv[0]} ended with ${JSON.stringify(stream.exit)}`);
}

/** As it is typed: the VM has the default size. */
async function runProgram({ cli }: DaemonFixture): Promise<void> {
  const { exitCode, stderr } = await cli(["run", "--", "true"]);
  if (exitCode !== 0) throw new Error(`firebreak run ended with ${exitCode}: ${stderr}`);
}

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { vmCreateSchema } from "../../src/contract/vm.ts";
import type { Saved, SavedFolder } from "../../src/snapshots/saved-folder.ts";
import { listProcesses } from "./daemon-fixture.ts";
import { type FaultCall, findVmms } from "./fault-points.ts";
import {
  type FaultJob,
  type FaultReport,
  readNotes,
  type Scenario,
  type Victim,
  writeNotes,
} from "./faulty-service.ts";
import { FAULT_KIND, namesIn, openSavingService, type SavingService } from "./saving-service.ts";

/**
 * A daemon, or its VMM, is killed at every step of making a template, of a fork, a snapshot, a restore, a suspension, a wake, and of giving a
 * VM a drive and taking it. The
 * next daemon must find the old or the new, never half, and nothing left behind.
 */

/** In a stretch without calls longer than this, a fault strikes in the middle, too. */
const GAP_MS = 60;

/** How often what is about to end is looked at, 50 ms apart. */
const MOST_LOOKS = 1_200;

const root = mkdtempSync(path.join(os.tmpdir(), "fb-faults-"));
chmodSync(root, 0o711);
/** Where the one template is kept that all scenarios but its own start with. */
const shared = path.join(root, "shared");

before(async () => {
  const service = await openSavingService(shared);
  await service.templates.ensure(await service.spec());
  service.close();
});
let next: Daemon | undefined;
after(async () => {
  await next?.end();
  for (const { pid } of await listProcesses(root)) process.kill(pid, "SIGKILL");
  rmSync(root, { recursive: true, force: true, maxRetries: 6 });
});

/** A daemon to be, that waits for its job. */
interface Daemon {
  work: (job: FaultJob) => Promise<FaultReport | undefined>;
  end: () => Promise<void>;
}

function startDaemon(): Daemon {
  const program = path.join(import.meta.dirname, "faulty-service.ts");
  const child: ChildProcess = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    // By this its helpers are told from those of others.
    env: { ...process.env, FIREBREAK_FAULTS: root },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.stdin?.on("error", () => {});
  const [stdout, stderr] = [text(child.stdout as never), text(child.stderr as never)];
  return {
    work: async (job) => {
      child.stdin?.end(`${JSON.stringify(job)}\n`);
      await exited;
      const line = child.killed || child.signalCode !== null ? "" : (await stdout).trim();
      if (line === "" && child.signalCode === null) assert.fail(`the daemon failed: ${await stderr}`);
      return line === "" ? undefined : (JSON.parse(line) as FaultReport);
    },
    end: async () => {
      child.stdin?.end();
      await exited;
    },
  };
}

/** The next daemon starts while the last one's work is looked at. */
async function runDaemon(job: FaultJob): Promise<FaultReport | undefined> {
  const daemon = next ?? startDaemon();
  next = undefined;
  const report = await daemon.work(job);
  next = startDaemon();
  return report;
}

function openHome(scenario: Scenario): string {
  const folder = path.join(root, scenario.slice(0, 2));
  cpSync(path.join(shared, "home"), path.join(folder, "home"), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (file) => scenario !== "template" || !file.includes(`${path.sep}templates${path.sep}`),
  });
  return folder;
}

/** Brings about, as cheaply as what is there allows, what a scenario starts from. */
async function prepare(scenario: Scenario, service: SavingService): Promise<void> {
  const { vms, snapshots, templates, templateFolder } = service;
  const find = (name: string) => vms.list().find((vm) => vm.name === name);
  if (scenario === "template") {
    for (const saved of await templateFolder.list(() => {})) await templates.drop(saved);
    return;
  }
  if (scenario === "fork") {
    if (find("child") !== undefined) await vms.delete("child");
    return;
  }
  for (const { name } of await snapshots.list()) if (name !== "warm") await snapshots.delete(name);
  const hasSnapshot = (await snapshots.list()).length > 0;
  const state = find("source")?.state;
  if (state !== "running" && state !== "suspended") {
    if (state !== undefined) await vms.delete("source");
    if (scenario === "restore" && hasSnapshot) await snapshots.restore("warm");
    else await vms.create(vmCreateSchema.parse({ ...FAULT_KIND, name: "source" }));
  }
  if (scenario === "restore" && !hasSnapshot) {
    await writeNotes(service, "source", "then");
    await snapshots.create("source", "warm");
  }
  await writeNotes(service, "source", "now");
  if (scenario === "wake") await vms.suspend("source");
  if (scenario === "attach" || scenario === "detach") await prepareDrive(scenario, service);
}

const DRIVE_NOTE = "/mnt/data/note";

/** A drive with a word on it, that the VM has or has not. */
async function prepareDrive(scenario: Scenario, { vms, drives }: SavingService): Promise<void> {
  const attach = () => drives.attach("source", { drive: "data", path: "/mnt/data" });
  if ((await drives.list()).length === 0) {
    await drives.create({ name: "data" });
    await attach();
    await vms.use("source", {}, ({ client }) => client.writeFile(DRIVE_NOTE, Readable.from([Buffer.from("kept")]), {}));
  }
  const hasDrive = drives.ofVm("source").length > 0;
  if (hasDrive && scenario === "attach") await drives.detach("source", "data", false);
  if (!hasDrive && scenario === "detach") await attach();
}

/** The VM has its drive, in the store and in its guest, or has it in neither; and then it can have it, and lose it. */
async function examineDrive({ vms, drives }: SavingService): Promise<string> {
  const read = () =>
    vms.use("source", {}, async ({ client }) =>
      text((await client.readFile(DRIVE_NOTE, {})).body).catch(() => assert.fail("the note broke off")),
    );
  const entries = drives.ofVm("source");
  const hasIt = entries.length > 0;
  if (hasIt) {
    assert.deepEqual([entries[0]?.state, entries[0]?.reason], ["attached", undefined]);
    assert.equal(await read(), "kept");
    await drives.detach("source", "data", false);
  } else await assert.rejects(read(), { code: "FILE_NOT_FOUND" });
  assert.deepEqual((await drives.get("data")).attachments, []);
  await drives.attach("source", { drive: "data", path: "/mnt/data" });
  assert.equal(await read(), "kept");
  return hasIt ? "has its drive" : "has no drive";
}

async function verify(folder: SavedFolder, service: SavingService): Promise<Saved[]> {
  const all = await folder.list((id, error) => assert.fail(`${id}: ${error.message}`));
  for (const saved of all) {
    const { manifest, machine, overlayPath } = saved;
    assert.equal((await service.disk.digest(machine.memoryPath)).sha256, manifest.memory.sha256);
    const state = createHash("sha256").update(readFileSync(machine.statePath)).digest("hex");
    assert.equal(state, manifest.state.sha256);
    assert.equal((await service.disk.digest(overlayPath)).sha256, manifest.overlay?.sha256);
  }
  return all;
}

/** No folder, socket or process without an owner. */
async function checkLeftOvers(service: SavingService): Promise<void> {
  const { paths, store, vms } = service;
  const ids = store
    .list()
    .map((record) => record.id)
    .sort();
  const live = vms.list().filter((vm) => vm.pid !== undefined);
  assert.deepEqual(
    (await namesIn(paths.vms)).filter((name) => !ids.includes(name)),
    [],
    "folders of VMs",
  );
  assert.deepEqual(await namesIn(path.join(paths.runtime, "v")), live.map((vm) => vm.id).sort(), "runtime folders");
  for (const folder of [paths.templates, paths.snapshots, ...ids.map((id) => path.join(paths.vms, id, "suspension"))])
    assert.deepEqual(
      (await namesIn(folder)).filter((name) => name.startsWith(".")),
      [],
      folder,
    );
  for (const id of ids) {
    const isSuspended = store.get(id)?.startFrom.from === "suspension";
    if (!isSuspended) assert.deepEqual(await namesIn(path.join(paths.vms, id, "suspension")), [], "a suspension");
  }
  const pids = live.map((vm) => vm.pid).sort();
  // What was ended may need a moment for it.
  for (let tries = 0; tries < MOST_LOOKS && findVmms(paths.runtime).length > pids.length; tries++) await sleep(50);
  assert.deepEqual(findVmms(paths.runtime).sort(), pids, "QEMUs");
  // What a dead daemon held in memory goes with it, a moment later.
  const helpers = async () =>
    (await listProcesses(root)).filter(({ command }) => /(?:hold|lend|digest)-memory|mkfs|(?:^|\/)cp /.test(command));
  for (let tries = 0; (await helpers()).length > 0; tries++) {
    assert.ok(tries < MOST_LOOKS, `a helper is left: ${JSON.stringify(await helpers())}`);
    await sleep(50);
  }
}

/** What was found after faults, by how often. */
type Findings = Map<string, number>;

function count(findings: Findings, what: string): number {
  const times = (findings.get(what) ?? 0) + 1;
  findings.set(what, times);
  return times;
}

/** The VM's state as it is found; what cannot be is a failure. */
async function examineVm(service: SavingService, name: string, words: string[]): Promise<string> {
  const vm = service.vms.list().find((candidate) => candidate.name === name);
  if (vm === undefined) return "absent";
  if (vm.state === "running" || vm.state === "suspended") {
    const notes = await readNotes(service, name);
    assert.equal(notes[0], notes[1], `memory and disk of the ${vm.state} VM are of one moment`);
    assert.ok(words.includes(notes[0] as string), `the ${vm.state} VM says ${notes[0]}`);
    assert.equal(service.vms.get(name).state, "running");
    return `${vm.state}, ${notes[0]}`;
  }
  const from = service.store.get(vm.id)?.startFrom.from;
  // Noted, and nothing done for it yet.
  if (vm.state === "created") return `created to be started from ${from}`;
  assert.equal(vm.state, "crashed");
  assert.ok((vm.reason ?? "").length > 0, "a crash has a reason");
  return `crashed, to be started from ${from}`;
}

/** A crashed VM starts; from its drive, memory is empty and the disk has what it had. */
async function examineStart(service: SavingService, name: string, words: string[]): Promise<string> {
  const { origin } = await service.vms.start(name);
  const [memory, disk] = (await readNotes(service, name)) as [string, string];
  assert.ok(words.includes(disk), `the disk says ${disk}`);
  assert.equal(memory, origin === "boot" || disk === "-" ? "-" : disk);
  return `started by ${origin}`;
}

async function examine(
  job: FaultJob,
  { service, calls, findings }: { service: SavingService; calls: FaultCall[]; findings: Findings },
): Promise<void> {
  await checkLeftOvers(service);
  const words = job.scenario === "restore" ? ["now", "then"] : job.scenario === "fork" ? ["-"] : ["now"];
  let found: string;
  if (job.scenario === "template") {
    const all = await verify(service.templateFolder, service);
    assert.ok(all.length <= 1);
    found = all.length === 1 ? "a whole template" : "no template";
  } else {
    found = await examineVm(service, job.scenario === "fork" ? "child" : "source", words);
  }
  if (job.scenario === "attach" || job.scenario === "detach") {
    if (found.includes("to be started")) await examineStart(service, "source", words);
    count(findings, `${job.victim}: ${found}, and ${await examineDrive(service)}`);
    return;
  }
  if (job.scenario === "wake" && found.endsWith("from suspension")) {
    // The call that a daemon was killed before was not made.
    const made = calls.slice(0, (job.at ?? 0) - (job.delayMs === 0 ? 1 : 0));
    const hasRun = made.some(({ name }) => name === "qmp migrate-incoming");
    assert.equal(hasRun, false, "memory from before must not meet a drive that the guest may have written to");
  }
  if (job.scenario === "snapshot") {
    const all = await verify(service.snapshotFolder, service);
    assert.ok(all.length <= 1);
    found += all.length === 1 ? " and a whole snapshot" : " and no snapshot";
    if (job.victim === "daemon") assert.match(found, /^running, now/, "the VM of a snapshot that failed goes on");
  }
  if (count(findings, `${job.victim}: ${found}`) > 1) return;
  // The first of its kind is put to use.
  if (found === "a whole template") await service.vms.create(vmCreateSchema.parse({ ...FAULT_KIND, name: "child" }));
  if (found.endsWith("and a whole snapshot")) {
    await service.snapshots.fork("taken", { name: "child" });
    assert.deepEqual(await readNotes(service, "child"), ["now", "now"]);
  }
  if (found.includes("to be started")) await examineStart(service, job.scenario === "fork" ? "child" : "source", words);
  if (job.scenario !== "fork" && service.vms.list().some((vm) => vm.name === "child"))
    await service.vms.delete("child");
}

/** Between these the daemon has no business with a VMM: it is all the same at which of them one dies. */
const HOST_ONLY = /^(?:make|remove|rename|write|chown) /;

interface FaultPoint {
  victim: Victim;
  at: number;
  delayMs: number;
  name: string;
}

/** Between any two calls, and in the middle of long stretches without one. A VMM is struck where there is one. */
function pointsOf(calls: FaultCall[]): FaultPoint[] {
  const victims: Victim[] = ["daemon", "vmm"];
  return victims.flatMap((victim) =>
    calls.flatMap(({ name, gapMs, hasVmm }, index) => {
      if (victim === "vmm" && (!hasVmm || HOST_ONLY.test(name))) return [];
      const point: FaultPoint = { victim, at: index + 1, delayMs: 0, name: `before '${name}'` };
      const delayMs = Math.round(gapMs / 2);
      return gapMs > GAP_MS ? [point, { ...point, delayMs, name: `${delayMs} ms into '${name}'` }] : [point];
    }),
  );
}

/** The tests of one scenario. A file has two at most: each file has its own time limit. */
export function testFaults(scenario: Scenario): void {
  test(`${scenario}: a kill -9 of the daemon or the VMM at any step leaves the old or the new`, async (context) => {
    const folder = openHome(scenario);
    const findings: Findings = new Map();
    let calls: FaultCall[] = [];
    const run = async (job: FaultJob) => {
      let service = await openSavingService(folder);
      await prepare(scenario, service);
      service.close();
      const report = await runDaemon(job);
      assert.notEqual(report?.hasHung, true, "the daemon hangs");
      service = await openSavingService(folder);
      try {
        if (job.victim !== undefined) await examine(job, { service, calls, findings });
      } finally {
        service.close();
      }
      return report;
    };
    const counted = await run({ folder, scenario });
    assert.equal(counted?.error, undefined);
    calls = counted?.calls ?? [];
    const points = pointsOf(calls);
    for (const { victim, at, delayMs, name } of points) {
      try {
        const report = await run({ folder, scenario, victim, at, delayMs });
        if (victim === "daemon" && report !== undefined) count(findings, "daemon: done before it was struck");
      } catch (error) {
        throw new Error(`the ${victim} killed ${name} (${at} of ${calls.length})`, { cause: error });
      }
    }
    for (const victim of ["daemon", "vmm"]) {
      const tried = points.filter((point) => point.victim === victim);
      context.diagnostic(`${scenario}: the ${victim} killed at ${tried.length} points`);
      assert.ok(tried.length > 0);
    }
    for (const [found, times] of findings) context.diagnostic(`${scenario}: ${times} times ${found}`);
    const service = await openSavingService(folder);
    for (const vm of service.vms.list()) await service.vms.delete(vm.id);
    if (scenario !== "template")
      assert.deepEqual((await verify(service.templateFolder, service)).length, 1, "its template is whole");
    service.close();
  });
}

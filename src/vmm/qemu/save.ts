import { createHash } from "node:crypto";
import { readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import type { MachineConfig, SaveResult, SaveTarget, VmmDrive, VmmRecord } from "../driver.ts";
import { killProcess } from "../vmm-process.ts";
import { type Launch, recorderUri } from "./command-line.ts";
import { DriveCopies } from "./drive-copies.ts";
import type { GuestMemory } from "./memory.ts";
import { awaitMigration, continueGuest, migrateTo, readStatus, saveDevices, setCapabilities } from "./migration.ts";
import type { QmpClient } from "./qmp.ts";
import { type LentFds, type QemuProcess, removeRuntimeDir } from "./spawn.ts";

export interface SaveOptions {
  record: VmmRecord;
  config: MachineConfig;
  target: SaveTarget;
  qmp: QmpClient;
  signal?: AbortSignal | undefined;
}

/** A state file is small enough to be read whole. */
export async function digestState(file: string): Promise<{ stateSha256: string; stateSizeBytes: number }> {
  const bytes = await readFile(file);
  return { stateSha256: createHash("sha256").update(bytes).digest("hex"), stateSizeBytes: bytes.length };
}

/** Saves a template, whose memory is a file already: its devices, then its memory once QEMU has let go of it. */
export async function saveTemplate(options: SaveOptions, memory: GuestMemory): Promise<SaveResult> {
  const { record, config, target, qmp } = options;
  await setCapabilities(qmp, true);
  const stoppedAt = watchStop(qmp);
  await saveDevices(qmp, record.runtimeDir, config.uid, target.statePath);
  await killProcess(record);
  const saved = await memory.save(target.memoryPath);
  return {
    memorySha256: saved.sha256,
    memoryDataBytes: saved.dataBytes,
    ...(await digestState(target.statePath)),
    stoppedMs: performance.now() - stoppedAt(),
  };
}

/**
 * Saves a machine whose memory is its own. It migrates, as it runs, into a second QEMU, the recorder, whose memory is a file and which
 * never runs it; under KVM it stands still only for the last pages and its drives. What the recorder then saves is as good a template as any.
 */
export async function saveByRecorder(
  options: SaveOptions,
  memory: GuestMemory,
  spawn: (launch: Launch, lent: LentFds, signal?: AbortSignal) => Promise<QemuProcess>,
): Promise<SaveResult> {
  const { config, target, qmp, signal } = options;
  const runtimeDir = `${config.runtimeDir}.rec`;
  const recorderConfig = {
    ...config,
    runtimeDir,
    drives: await blankDrives(config.drives, target.scratchDir),
    attached: await blankDrives(config.attached ?? [], target.scratchDir),
  };
  const recorder = await spawn({ kind: "record", config: recorderConfig }, { memory: memory.fd }, signal);
  for (const drive of [...recorderConfig.drives, ...recorderConfig.attached])
    if (!drive.readOnly) await rm(drive.path, { force: true });
  let copies: DriveCopies | undefined;
  try {
    await leavePostMigration(qmp);
    copies = await DriveCopies.start(qmp, config, target.copies, signal);
    await setCapabilities(recorder.qmp, false);
    // QEMU's emulation (7.2) misses writes to pages that a live migration is looking at: its guest stands still for all of it.
    const isEmulated = config.accel === "tcg";
    await setCapabilities(qmp, false, !isEmulated);
    const stoppedAt = watchStop(qmp);
    const arrived = awaitMigration(recorder.qmp);
    arrived.catch(() => {}); // heard below, unless the other end's failure is heard first
    const finishCopies = () => (copies as DriveCopies).finish();
    if (isEmulated) {
      await qmp.execute("stop");
      await finishCopies();
      await migrateTo(qmp, recorderUri(runtimeDir), { signal });
    } else await migrateTo(qmp, recorderUri(runtimeDir), { signal, onStopped: finishCopies });
    if (target.afterwards === "continue") await continueGuest(qmp);
    const stoppedMs = performance.now() - stoppedAt();
    await arrived;
    await setCapabilities(recorder.qmp, true);
    await saveDevices(recorder.qmp, runtimeDir, config.uid, target.statePath);
    await killProcess(recorder.identity);
    const saved = await memory.save(target.memoryPath);
    return {
      memorySha256: saved.sha256,
      memoryDataBytes: saved.dataBytes,
      ...(await digestState(target.statePath)),
      stoppedMs,
    };
  } catch (error) {
    await copies?.abandon();
    await qmp.execute("migrate_cancel").catch(() => {});
    // A guest that stands still though nobody has its state goes on.
    if (target.afterwards !== "stay_paused") await continueGuest(qmp).catch(() => {});
    throw error;
  } finally {
    recorder.qmp.close();
    await killProcess(recorder.identity);
    await removeRuntimeDir(runtimeDir);
  }
}

/** QEMU does not migrate a guest that has not run since it was last migrated: a paused one that is saved again runs for a moment. */
async function leavePostMigration(qmp: QmpClient): Promise<void> {
  if ((await readStatus(qmp)) === "postmigrate") await Promise.all([qmp.execute("cont"), qmp.execute("stop")]);
}

/** The recorder has the same devices, but never reads or writes them: a hole of a drive's size will do for one that is written to. */
async function blankDrives<T extends VmmDrive>(drives: T[], scratchDir: string): Promise<T[]> {
  return Promise.all(
    drives.map(async (drive) => {
      if (drive.readOnly) return drive;
      const file = path.join(scratchDir, `blank-${drive.serial}`);
      await writeFile(file, "", { mode: 0o600 });
      await truncate(file, (await stat(drive.path)).size);
      return { ...drive, path: file };
    }),
  );
}

/** Since when the guest stands still; a paused one does so since now. */
function watchStop(qmp: QmpClient): () => number {
  let stoppedAt: number | undefined;
  const stop = qmp.listen((event) => {
    if (event === "STOP") stoppedAt ??= performance.now();
  });
  return () => {
    stop();
    return stoppedAt ?? performance.now();
  };
}

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { chmod, chown, rm } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { checkSocketPath } from "../../platform/paths.ts";
import type { QmpClient } from "./qmp.ts";

/** Faster than any host's memory: QEMU's default of 128 MiB/s would make a save of memory take seconds. */
const BANDWIDTH_BYTES_PER_S = 8 * 1024 ** 3;
/** How long the guest may stand still at the end of a live migration, and from when on longer, ms. One that writes faster than we read is stopped in the end. */
const DOWNTIME_LIMITS = [
  { afterMs: 0, limitMs: 100 },
  { afterMs: 4_000, limitMs: 250 },
  { afterMs: 12_000, limitMs: 2_000 },
  { afterMs: 24_000, limitMs: 60_000 },
];
/** A microVM's devices are some 67 kB; a VMM that sends more than this is not to fill the disk. */
const MAX_STATE_BYTES = 16 * 1024 * 1024;

/** Which of QEMU's switches both ends of a migration have to set alike. */
export function setCapabilities(
  qmp: QmpClient,
  isSharedIgnored: boolean,
  /** The guest stands still, with its drives still in use, until it is told to go on. */
  pausesBeforeEnd = false,
): Promise<unknown> {
  return qmp.execute("migrate-set-capabilities", {
    capabilities: [
      // Memory in a shared file is left where it is.
      { capability: "x-ignore-shared", state: isSharedIgnored },
      { capability: "events", state: true },
      { capability: "pause-before-switchover", state: pausesBeforeEnd },
    ],
  });
}

/** Resolves when a migration, either way, has come to its end. Throws SNAPSHOT_FAILED, or VM_CRASHED when QEMU has gone. */
export function awaitMigration(qmp: QmpClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = qmp.listen((event, { status }) => {
      if (event !== "MIGRATION" || (status !== "completed" && status !== "failed" && status !== "cancelled")) return;
      stop();
      if (status === "completed") resolve();
      else reject(new FirebreakError("SNAPSHOT_FAILED", `QEMU ended saving the VM: ${status}`));
    });
    void qmp.closed.then(() => {
      stop();
      reject(new FirebreakError("VM_CRASHED", "QEMU ended while it was saved or restored"));
    });
  });
}

/** How long QEMU may take to put a finished migration away. */
const FINALIZE_MS = 5_000;

/** Lets a guest go on that stands still after a migration: QEMU says that one is completed a moment before it may be told so. */
export async function continueGuest(qmp: QmpClient): Promise<void> {
  const deadline = Date.now() + FINALIZE_MS;
  while (true) {
    const status = await readStatus(qmp);
    if (status !== "finish-migrate" || Date.now() > deadline) break;
    await sleep(1);
  }
  await qmp.execute("cont");
}

/** QEMU's word for what its guest does, such as `running`, `paused` or `postmigrate`. */
export async function readStatus(qmp: QmpClient): Promise<unknown> {
  return ((await qmp.execute("query-status")) as { status?: unknown }).status;
}

function awaitStop(qmp: QmpClient): Promise<void> {
  return new Promise((resolve) => {
    const stop = qmp.listen((event, { status }) => {
      if (event !== "MIGRATION" || status !== "pre-switchover") return;
      stop();
      resolve();
    });
  });
}

/**
 * Sends a machine to `uri`. The guest runs nearly to the end and stands still from then on; where that has been asked for,
 * `onStopped` is called then, and the migration ends with it.
 */
export async function migrateTo(
  qmp: QmpClient,
  uri: string,
  options: { onStopped?: () => Promise<void>; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { signal } = options;
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": BANDWIDTH_BYTES_PER_S });
  const ended = awaitMigration(qmp);
  ended.catch(() => {}); // also when `migrate` itself is refused
  const timers = DOWNTIME_LIMITS.map(({ afterMs, limitMs }) =>
    setTimeout(() => qmp.execute("migrate-set-parameters", { "downtime-limit": limitMs }).catch(() => {}), afterMs),
  );
  const onAbort = () => void qmp.execute("migrate_cancel").catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const stopped = options.onStopped === undefined ? undefined : awaitStop(qmp);
    await qmp.execute("migrate", { uri });
    if (signal?.aborted) onAbort();
    if (options.onStopped !== undefined) {
      await Promise.race([stopped, ended]);
      await options.onStopped();
      await qmp.execute("migrate-continue", { state: "pre-switchover" });
    }
    await ended;
  } catch (error) {
    if (signal?.aborted)
      throw new FirebreakError("OPERATION_CANCELED", "saving the VM was cancelled", { cause: error });
    const reason = (await qmp.execute("query-migrate").catch(() => undefined)) as
      | { "error-desc"?: unknown }
      | undefined;
    if (typeof reason?.["error-desc"] !== "string") throw error;
    throw new FirebreakError("SNAPSHOT_FAILED", `QEMU cannot save the VM: ${reason["error-desc"].slice(0, 300)}`, {
      cause: error,
    });
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Lets QEMU write its devices' state into a file, by a socket: its user may open no file of ours. */
export async function saveDevices(qmp: QmpClient, runtimeDir: string, uid: number, file: string): Promise<void> {
  const socketPath = checkSocketPath(`${runtimeDir}/state`);
  await rm(socketPath, { force: true });
  const server = net.createServer();
  const arrived = once(server, "connection") as Promise<[Socket]>;
  server.listen(socketPath);
  try {
    await once(server, "listening");
    await chmod(socketPath, 0o600);
    if (process.getuid?.() === 0) await chown(socketPath, uid, uid);
    const stored = arrived.then(([socket]) => pipeline(socket, limitBytes(MAX_STATE_BYTES), createWriteStream(file)));
    await Promise.all([migrateTo(qmp, `unix:${socketPath}`), stored]);
  } finally {
    server.close();
    await rm(socketPath, { force: true });
  }
}

function limitBytes(limit: number): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  return async function* (source) {
    let total = 0;
    for await (const chunk of source) {
      total += chunk.length;
      if (total > limit) throw new FirebreakError("SNAPSHOT_FAILED", "the VMM sends more state than a microVM has");
      yield chunk;
    }
  };
}

import { chown, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { DriveCopy, MachineConfig } from "../driver.ts";
import { driveId, EXCHANGE_FD } from "./command-line.ts";
import type { QmpClient } from "./qmp.ts";

/** QEMU's name for a drive's copy, and for the job that makes it. */
const copyName = (serial: string) => `copy-${serial}`;

/**
 * Copies of a running VM's drives. QEMU mirrors them while the guest writes to them, so that when the guest stands still there is next to
 * nothing left to copy, however large they are. QEMU's user reaches no folder of ours: the copies are made in one that QEMU inherited.
 */
export class DriveCopies {
  readonly #qmp: QmpClient;
  readonly #exchangeDir: string;
  readonly #copies: DriveCopy[];

  private constructor(qmp: QmpClient, exchangeDir: string, copies: DriveCopy[]) {
    this.#qmp = qmp;
    this.#exchangeDir = exchangeDir;
    this.#copies = copies;
  }

  /** Resolves when the copies have caught up with the drives; from then on they keep up. Throws HOST_DISK_FULL or SNAPSHOT_FAILED. */
  static async start(
    qmp: QmpClient,
    config: MachineConfig,
    copies: DriveCopy[],
    signal?: AbortSignal,
  ): Promise<DriveCopies> {
    const { exchangeDir } = config;
    if (copies.length > 0 && exchangeDir === undefined)
      throw new FirebreakError("INTERNAL", "a machine without an exchange folder has no copies made");
    const all = new DriveCopies(qmp, exchangeDir ?? "", copies);
    try {
      await all.#emptyFolder();
      for (const copy of copies) await all.#mirror(copy, config, signal);
      return all;
    } catch (error) {
      await all.abandon();
      throw error;
    }
  }

  async #mirror({ serial }: DriveCopy, config: MachineConfig, signal?: AbortSignal): Promise<void> {
    const drive = config.drives.find((candidate) => candidate.serial === serial);
    if (drive === undefined) throw new FirebreakError("INTERNAL", `the machine has no drive ${serial}`);
    await makeBlank(path.join(this.#exchangeDir, serial), (await stat(drive.path)).size, config.uid);
    await this.#qmp.execute("blockdev-add", {
      driver: "raw",
      "node-name": copyName(serial),
      discard: "unmap",
      file: {
        driver: "file",
        filename: `/proc/self/fd/${EXCHANGE_FD}/${serial}`,
        locking: "off",
        discard: "unmap",
        // A guest would stand still while the host's disk is slow. Whoever keeps the copy sees to it that it is there.
        cache: { "no-flush": true },
      },
    });
    const ready = this.#awaitJob(serial, "BLOCK_JOB_READY", signal);
    ready.catch(() => {}); // also when the job is refused
    await this.#qmp.execute("blockdev-mirror", {
      "job-id": copyName(serial),
      device: driveId(serial),
      target: copyName(serial),
      sync: "full",
    });
    await ready;
  }

  /** To be called while the guest stands still: the copies are what its drives are now, and in their places. */
  async finish(): Promise<void> {
    for (const { serial, path: target } of this.#copies) {
      const ended = this.#awaitJob(serial, "BLOCK_JOB_COMPLETED");
      ended.catch(() => {}); // also when the cancellation is refused
      // QEMU's word for ending a mirror that has caught up, without changing over to it.
      await this.#qmp.execute("block-job-cancel", { device: copyName(serial) });
      await ended;
      await this.#qmp.execute("blockdev-del", { "node-name": copyName(serial) });
      const file = path.join(this.#exchangeDir, serial);
      if (process.getuid?.() === 0) await chown(file, 0, 0);
      await rename(file, target);
    }
  }

  /** Ends what is under way and removes the copies. Does nothing after `finish`. */
  async abandon(): Promise<void> {
    if (this.#copies.length === 0) return;
    await abandonCopies(this.#qmp);
    await this.#emptyFolder();
  }

  /** Of copies that were not finished. The folder stays: QEMU knows this very one and no other. */
  async #emptyFolder(): Promise<void> {
    if (this.#copies.length === 0) return;
    for (const name of await readdir(this.#exchangeDir))
      await rm(path.join(this.#exchangeDir, name), { recursive: true, force: true });
  }

  #awaitJob(serial: string, wanted: string, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = (act: () => void) => {
        stop();
        signal?.removeEventListener("abort", onAbort);
        act();
      };
      const onAbort = () => give(() => reject(new FirebreakError("OPERATION_CANCELED", "saving the VM was cancelled")));
      const stop = this.#qmp.listen((event, data) => {
        if (data.device !== copyName(serial)) return;
        if (event === wanted && data.error === undefined) give(resolve);
        else if (event === "BLOCK_JOB_COMPLETED" || event === "BLOCK_JOB_CANCELLED")
          give(() => reject(jobFailed(data.error)));
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
      void this.#qmp.closed.then(() =>
        give(() => reject(new FirebreakError("VM_CRASHED", "QEMU ended while its drives were copied"))),
      );
    });
  }
}

/** Ends all copies that a QEMU makes, whoever began them. */
export async function abandonCopies(qmp: QmpClient): Promise<void> {
  const jobs = (await qmp.execute("query-block-jobs").catch(() => [])) as { device?: unknown }[];
  for (const { device } of Array.isArray(jobs) ? jobs : [])
    await qmp.execute("block-job-cancel", { device, force: true }).catch(() => {});
  const nodes = (await qmp.execute("query-named-block-nodes", { flat: true }).catch(() => [])) as {
    "node-name"?: unknown;
  }[];
  for (const { "node-name": name } of Array.isArray(nodes) ? nodes : []) {
    if (typeof name !== "string" || !name.startsWith(copyName(""))) continue;
    // The node is free a moment after its job has ended.
    for (let tries = 0; tries < 50; tries++) {
      const isGone = await qmp.execute("blockdev-del", { "node-name": name }).then(
        () => true,
        () => false,
      );
      if (isGone) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** The file is QEMU's user's, the folder is not: nobody else can put something in the file's place. */
async function makeBlank(file: string, sizeBytes: number, uid: number): Promise<void> {
  await rm(file, { force: true });
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.truncate(sizeBytes);
    if (process.getuid?.() === 0) await handle.chown(uid, uid);
  } finally {
    await handle.close();
  }
}

function jobFailed(error: unknown): FirebreakError {
  const reason = String(error ?? "it was cancelled").slice(0, 200);
  return /No space left|quota/i.test(reason)
    ? new FirebreakError("HOST_DISK_FULL", "no space is left on the host's disk for a copy of the VM's drive")
    : new FirebreakError("SNAPSHOT_FAILED", `the VM's drive could not be copied: ${reason}`);
}

import path from "node:path";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { findHostConflict, type Manifest } from "../snapshots/manifest.ts";
import type { Disk } from "../snapshots/ports.ts";
import { type Saved, SavedFolder } from "../snapshots/saved-folder.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import { vmDir } from "./machine.ts";
import type { SavedSource } from "./plan.ts";
import type { VmRecord } from "./vm-store.ts";

export interface SourcesOptions {
  paths: FirebreakPaths;
  drivers: VmmDrivers;
  snapshots: SavedFolder;
  disk: Disk;
}

/** Finds the saved machines of users that VMs are brought up from. */
export class Sources {
  readonly #options: SourcesOptions;

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** The saved machine, whole and of this host. Throws SNAPSHOT_NOT_FOUND, SNAPSHOT_CORRUPT or SNAPSHOT_INCOMPATIBLE. */
  async find(record: VmRecord, source: Exclude<SavedSource, { from: "template" }>): Promise<Saved> {
    const { snapshots } = this.#options;
    if (source.from === "suspension") return this.#findSuspension(record);
    const saved = await snapshots.get(source.id);
    if (saved === undefined) throw new FirebreakError("SNAPSHOT_NOT_FOUND", `the snapshot ${source.id} is gone`);
    await this.verify(saved);
    return saved;
  }

  /** Throws SNAPSHOT_INCOMPATIBLE or SNAPSHOT_CORRUPT unless a snapshot is whole and of this host. Nothing has been changed then. */
  async verify(saved: Saved): Promise<void> {
    const { snapshots, drivers } = this.#options;
    await this.check(saved.manifest);
    await snapshots.verifyOverlay(saved);
    await drivers.of(saved.manifest.machine).prepare(saved.machine);
  }

  async #findSuspension(record: VmRecord): Promise<Saved> {
    try {
      const saved = await this.suspension(record).get(record.id);
      if (saved === undefined) throw new FirebreakError("SNAPSHOT_CORRUPT", "it is gone");
      await this.check(saved.manifest);
      await this.#options.drivers.of(saved.manifest.machine).prepare(saved.machine);
      return saved;
    } catch (error) {
      const { code, message } = toFirebreakError(error);
      if (code !== "SNAPSHOT_CORRUPT" && code !== "SNAPSHOT_INCOMPATIBLE") throw error;
      throw new FirebreakError(code, `the VM '${record.name}' cannot go on where it was suspended: ${message}`, {
        cause: error,
        hint: `Give that up and start it from its disk: firebreak vm stop --force ${record.name} && firebreak vm start ${record.name}`,
      });
    }
  }

  /** Throws SNAPSHOT_INCOMPATIBLE when a saved machine cannot go on on this host. */
  async check(manifest: Manifest): Promise<void> {
    const driver = this.#options.drivers.find(manifest.machine.driver);
    const conflict =
      driver === undefined
        ? `it was taken with the driver ${manifest.machine.driver}`
        : findHostConflict(manifest.host, await driver.describeHost(manifest.machine.accel));
    if (conflict === undefined) return;
    throw new FirebreakError(
      "SNAPSHOT_INCOMPATIBLE",
      `${manifest.name ?? manifest.id} cannot be used here: ${conflict}`,
      {
        hint: "A snapshot goes on only with the VMM version, accelerator and kind of CPU that it was taken with.",
      },
    );
  }

  /** Gives up what a VM was suspended to, on the disk and in memory. */
  async discardSuspension(record: Pick<VmRecord, "id">): Promise<void> {
    const folder = this.suspension(record);
    const saved = await folder.get(record.id).catch(() => undefined);
    if (saved !== undefined) this.#options.drivers.release(saved.manifest.memory.sha256);
    await folder.delete(record.id);
  }

  /** Where a VM's own saved machine is while it is suspended. */
  suspension(record: Pick<VmRecord, "id">): SavedFolder {
    return new SavedFolder(path.join(vmDir(record, this.#options.paths), "suspension"), this.#options.disk);
  }
}

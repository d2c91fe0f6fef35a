import { stat, truncate } from "node:fs/promises";
import path from "node:path";
import type { AttachedDriveInfo } from "../contract/attachment.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { GUEST_FEATURES, type GuestDrive } from "../guest/protocol.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { AttachedDrive } from "../vmm/driver.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { DriveOfVm, DriveStore } from "./drive-store.ts";
import type { LiveVm } from "./live-vm.ts";
import { exchangeDirOf } from "./machine.ts";
import type { VmRecord, VmStore } from "./vm-store.ts";

/** A guest may have to wait for its kernel to find the drive, and to put its journal in order. */
const MOUNT_DEADLINE_MS = 60_000;
/** A guest may have much to write before it lets go of a drive; by force it gets less. */
const PATIENCE = { letGoMs: 120_000, forcedMs: 30_000 };
/** A guest that is ended gets this long to write all its drives out. */
const END_DEADLINE_MS = 10_000;
const MIB = 1024 * 1024;

export interface AttachedDrivesOptions {
  paths: FirebreakPaths;
  drives: DriveStore;
  store: VmStore;
  drivers: VmmDrivers;
  patience?: typeof PATIENCE;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The drives that VMs have: what the store says is brought about in VMM and guest. The caller holds the VM's lock. */
export class AttachedDrives {
  readonly #options: AttachedDrivesOptions;

  constructor(options: AttachedDrivesOptions) {
    this.#options = options;
  }

  has(record: Pick<VmRecord, "id">): boolean {
    return this.#options.drives.ofVm(record.id).length > 0;
  }

  /** As a VM's resource shows them. */
  list(record: Pick<VmRecord, "id">): AttachedDriveInfo[] {
    return this.#options.drives.ofVm(record.id).map(({ drive, path: place, readOnly, state, reason }) => ({
      id: drive.id,
      name: drive.name,
      format: drive.format,
      ...(place === undefined ? {} : { path: place }),
      readOnly,
      state,
      ...(reason === undefined ? {} : { reason }),
    }));
  }

  /** As devices of a machine that is saved with them, or restored. */
  devicesOf(record: Pick<VmRecord, "id">): AttachedDrive[] {
    return this.#options.drives.ofVm(record.id).map((entry) => this.#deviceOf(entry));
  }

  /** What a new VM is to have, before it first starts. */
  claim(record: VmRecord, volumes: readonly { volume: string; path: string; readOnly?: boolean | undefined }[]): void {
    for (const { volume, path: place, readOnly } of volumes) {
      const driveId = requireReady(this.#options.drives, volume).id;
      const wanted = { driveId, vmId: record.id, path: place, readOnly: readOnly ?? false };
      this.#options.drives.attach({ ...wanted, state: "attached" });
    }
  }

  /** Throws DRIVE_NOT_FOUND, or DRIVE_IN_USE, for what `claim` would be refused. */
  check(volumes: readonly { volume: string; readOnly?: boolean | undefined }[]): void {
    for (const { volume, readOnly } of volumes) {
      const drive = requireReady(this.#options.drives, volume);
      const other = this.#options.drives.ofDrive(drive.id).find((entry) => !entry.readOnly || !readOnly);
      if (other === undefined) continue;
      throw new FirebreakError(
        "DRIVE_IN_USE",
        `the drive '${drive.name}' cannot be attached: the VM '${other.vmName}' has it`,
        { hint: `Detach it there: firebreak drive detach ${other.vmName} ${drive.name}` },
      );
    }
  }

  /** Gives a VM that has just started all its drives. Those that it was losing or getting when a daemon died it does not have. */
  async attachAll(record: VmRecord, live: LiveVm): Promise<void> {
    for (const entry of this.#options.drives.ofVm(record.id)) {
      if (entry.state === "attached") await this.plugIn(record, live, entry);
      else this.#options.drives.detach(record.id, entry.driveId);
    }
  }

  /** Gives a guest a drive, or sees that it has it. */
  async plugIn(record: VmRecord, live: LiveVm, entry: DriveOfVm): Promise<GuestDrive> {
    const { drivers, drives } = this.#options;
    await requireSupport(record, live);
    const device = this.#deviceOf(entry);
    const wasShort = await this.#fillFile(device.path, entry.drive.sizeMib);
    const driver = drivers.of(live.vmm);
    await driver.attachDrive(
      live.vmm,
      { exchangeDir: exchangeDirOf(record, this.#options.paths), uid: record.uid },
      device,
    );
    if (wasShort) await driver.growDrive(live.vmm, device.serial, entry.drive.sizeMib * MIB);
    const place = { ...(entry.path === undefined ? {} : { path: entry.path }), readOnly: entry.readOnly };
    const found = await live.client.driveAttach(device.serial, place, { deadlineMs: MOUNT_DEADLINE_MS });
    if (entry.state !== "attached" || entry.reason !== undefined)
      drives.change(record.id, entry.driveId, { state: "attached" });
    return found;
  }

  /**
   * Takes a drive from a VM that runs. With force a guest that does not let go loses it all the same. Throws DRIVE_BUSY, and whatever a guest
   * answers; then the VM has the drive as before.
   */
  async takeAway(record: VmRecord, live: LiveVm, entry: DriveOfVm, force: boolean): Promise<void> {
    const { serial } = this.#deviceOf(entry);
    // One that stands still is asked nothing.
    if (record.state !== "paused") {
      const { letGoMs, forcedMs } = this.#options.patience ?? PATIENCE;
      await live.client
        .driveDetach(serial, force, { deadlineMs: force ? forcedMs : letGoMs })
        .catch((thrown: unknown) => {
          const error = toFirebreakError(thrown);
          if (!force) throw explainHeld(error, record, entry);
          this.#options.log("a guest does not let go of a drive", { vm: record.name, error: error.message });
        });
    }
    await this.#options.drivers.of(live.vmm).detachDrive(live.vmm, serial);
  }

  /** Has a guest that is about to be ended write its drives out; one that does not is not waited for much longer than that takes. */
  async letGo(record: VmRecord, live: LiveVm | undefined): Promise<void> {
    const deadline = Date.now() + END_DEADLINE_MS;
    for (const entry of this.#options.drives.ofVm(record.id).toReversed()) {
      const deadlineMs = deadline - Date.now();
      if (live === undefined || deadlineMs <= 0) return;
      const { serial } = this.#deviceOf(entry);
      await live.client
        .driveDetach(serial, true, { deadlineMs })
        .catch((error: unknown) =>
          this.#options.log("a guest that ends does not let go of a drive", { vm: record.name, error: String(error) }),
        );
    }
  }

  /** Has a drive and its guest's file system as large as the store says. */
  async grow(live: LiveVm, entry: DriveOfVm): Promise<void> {
    const { serial, path: file } = this.#deviceOf(entry);
    await this.#fillFile(file, entry.drive.sizeMib);
    await this.#options.drivers.of(live.vmm).growDrive(live.vmm, serial, entry.drive.sizeMib * MIB);
    await live.client.driveGrow(serial, entry.drive.sizeMib * MIB, { deadlineMs: MOUNT_DEADLINE_MS });
  }

  /** Runs `work` while a VM has no drives: they are no part of what is saved of it. Then it has them again. */
  async without<T>(record: VmRecord, live: LiveVm, work: () => Promise<T>): Promise<T> {
    const all = this.#options.drives.ofVm(record.id);
    if (all.length === 0) return work();
    if (record.state === "paused") {
      throw new FirebreakError("DRIVE_IN_USE", `the paused VM '${record.name}' has drives, which it cannot let go of`, {
        hint: `Let it go on, or detach them: firebreak vm resume ${record.name}`,
      });
    }
    try {
      // The innermost first.
      for (const entry of all.toReversed()) await this.takeAway(record, live, entry, false);
      return await work();
    } finally {
      await this.restoreAll(record, live);
    }
  }

  /** Gives a VM that runs its drives again, each as far as that is possible: what is not is noted with its reason. */
  async restoreAll(record: VmRecord, live: LiveVm): Promise<void> {
    const { drives, store, log } = this.#options;
    for (const entry of drives.ofVm(record.id)) {
      try {
        if (entry.state === "detaching") {
          await this.takeAway(record, live, entry, false);
          drives.detach(record.id, entry.driveId);
          continue;
        }
        await this.plugIn(record, live, entry);
        if (!entry.readOnly) await this.grow(live, entry);
      } catch (thrown) {
        const reason = toFirebreakError(thrown).message;
        log("a VM does not have its drive", { vm: record.name, drive: entry.drive.name, error: reason });
        drives.change(record.id, entry.driveId, { state: "attached", reason });
        store.addEvent(record.id, "drive_failed", { drive: entry.drive.name, reason });
      }
    }
  }

  #deviceOf({ drive, slot, readOnly }: DriveOfVm): AttachedDrive {
    return { serial: `d-${drive.id}`, path: driveFile(drive.id, this.#options.paths), readOnly, slot };
  }

  /** Returns whether the file was shorter: a drive is noted to be larger before it is made so. */
  async #fillFile(file: string, sizeMib: number): Promise<boolean> {
    const isShort = (await stat(file)).size < sizeMib * MIB;
    if (isShort) await truncate(file, sizeMib * MIB);
    return isShort;
  }
}

export function driveFile(id: string, paths: FirebreakPaths): string {
  return path.join(paths.drives, `${id}.img`);
}

/** Throws DRIVE_NOT_FOUND. */
export function requireReady(drives: DriveStore, nameOrId: string) {
  const drive = drives.find(nameOrId);
  if (drive?.state === "ready") return drive;
  throw new FirebreakError("DRIVE_NOT_FOUND", `no drive is named '${nameOrId}'`, {
    hint: `List them: firebreak drive list; or make it: firebreak volume create ${nameOrId}`,
  });
}

async function requireSupport(record: VmRecord, live: LiveVm): Promise<void> {
  const { features } = await live.client.hello();
  if (features.includes(GUEST_FEATURES.drives)) return;
  throw new FirebreakError("DRIVE_UNSUPPORTED", `the VM '${record.name}' is too old to have drives attached`, {
    hint: "Its kernel or agent is of an earlier firebreak. Run 'firebreak kernel use stock', then create a VM anew.",
  });
}

function explainHeld(error: FirebreakError, record: VmRecord, { drive }: DriveOfVm): FirebreakError {
  return new FirebreakError(
    error.code,
    `the drive '${drive.name}' of the VM '${record.name}' is not let go of: ${error.message}`,
    {
      cause: error,
      hint: `End what uses it, or take it away all the same: firebreak drive detach --force ${record.name} ${drive.name}`,
    },
  );
}

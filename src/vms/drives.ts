import { randomBytes } from "node:crypto";
import { readdir, rm, stat, truncate } from "node:fs/promises";
import path from "node:path";
import type { DriveFormat } from "../contract/attachment.ts";
import type { Drive, DriveAttach, DriveContent, VmDrive } from "../contract/drive.ts";
import { DEFAULT_DRIVE_MIB } from "../contract/drive.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { type AttachedDrives, driveFile, requireReady } from "./attached-drives.ts";
import type { DriveOfVm, DriveRecord, DriveStore } from "./drive-store.ts";
import type { LiveVm } from "./live-vm.ts";
import { Mutex } from "./mutex.ts";
import type { DriveFiles, WorkOptions } from "./ports.ts";
import type { VmService } from "./service.ts";
import { notRunning } from "./vm-errors.ts";
import type { VmRecord, VmStore } from "./vm-store.ts";

const MIB = 1024 * 1024;

export interface DrivesOptions {
  paths: FirebreakPaths;
  vms: VmService;
  store: VmStore;
  drives: DriveStore;
  attached: AttachedDrives;
  files: DriveFiles;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** Drives that outlive VMs. A volume is one that was made with a file system. */
export class Drives {
  readonly #options: DrivesOptions;
  readonly #locks = new Map<string, Mutex>();

  constructor(options: DrivesOptions) {
    this.#options = options;
  }

  list(format?: DriveFormat): Promise<Drive[]> {
    const ready = this.#options.drives.list().filter((drive) => drive.state === "ready");
    return Promise.all(ready.filter((drive) => format === undefined || drive.format === format).map(this.#show));
  }

  async get(nameOrId: string, format?: DriveFormat): Promise<Drive> {
    return this.#show(this.#find(nameOrId, format));
  }

  ofVm(vm: string): VmDrive[] {
    const { id, name } = this.#options.vms.get(vm);
    return this.#options.drives.ofVm(id).map((entry) => toVmDrive(entry, { id, name }));
  }

  /** An empty drive. Throws DRIVE_ALREADY_EXISTS, HOST_DISK_FULL. */
  create(
    request: { name: string; sizeMib?: number | undefined; format?: DriveFormat | undefined },
    options: WorkOptions = {},
  ): Promise<Drive> {
    const { name, sizeMib = DEFAULT_DRIVE_MIB, format = "ext4" } = request;
    return this.#create(name, async (file) => {
      await this.#options.files.makeBlank(file, format, sizeMib, options.signal);
      return { format, sizeMib };
    });
  }

  /** A drive with what comes in. Throws DRIVE_ALREADY_EXISTS, HOST_DISK_FULL, INVALID_ARGUMENT, ARCHIVE_INVALID, ARCHIVE_TOO_LARGE. */
  createFrom(
    request: { name: string; sizeMib?: number | undefined; content: DriveContent },
    body: AsyncIterable<Buffer>,
    options: WorkOptions = {},
  ): Promise<Drive> {
    const { files } = this.#options;
    const { name, sizeMib, content } = request;
    return this.#create(name, (file) =>
      content === "tar"
        ? files.makeFromTar(file, body, sizeMib, options.signal)
        : files.makeFromBytes(file, body, sizeMib, options.signal),
    );
  }

  /** The name is taken before the file is made; what a dead daemon leaves of one is removed by the next. */
  async #create(
    name: string,
    make: (file: string) => Promise<{ format: DriveFormat; sizeMib: number }>,
  ): Promise<Drive> {
    const { drives, paths } = this.#options;
    const id = randomBytes(6).toString("hex");
    const createdAt = new Date().toISOString();
    drives.insert({ id, name, state: "creating", format: "raw", sizeMib: 0, createdAt });
    try {
      const made = await make(driveFile(id, paths));
      return await this.#show(drives.update(id, { ...made, state: "ready" }));
    } catch (error) {
      await rm(driveFile(id, paths), { force: true });
      drives.remove(id);
      throw error;
    }
  }

  /** Deletes a drive with what is on it. Throws DRIVE_IN_USE. */
  async delete(nameOrId: string, format?: DriveFormat): Promise<Pick<Drive, "id" | "name">> {
    const drive = this.#find(nameOrId, format);
    return this.#lock(drive.id).run(async () => {
      this.#find(drive.id);
      this.#options.drives.beginDelete(drive.id);
      await this.#remove(drive);
      return drive;
    });
  }

  async #remove({ id }: DriveRecord): Promise<void> {
    await rm(driveFile(id, this.#options.paths), { force: true });
    this.#options.drives.remove(id);
    this.#locks.delete(id);
  }

  /** Enlarges a drive, also one that a VM uses, and the file system on it with its next writable mount at the latest. */
  async grow(nameOrId: string, sizeMib: number, options: WorkOptions = {}): Promise<Drive> {
    const { drives, attached } = this.#options;
    const { id } = this.#find(nameOrId);
    return this.#lock(id).run(async () => {
      const drive = this.#find(id);
      if (sizeMib < drive.sizeMib) throw cannotShrink(drive);
      const [holder] = drives.ofDrive(id);
      if (holder?.readOnly) {
        throw new FirebreakError("DRIVE_IN_USE", `the drive '${drive.name}' is attached read-only, and cannot grow`, {
          hint: `Detach it first: firebreak drive detach ${holder.vmName} ${drive.name}`,
        });
      }
      if (holder !== undefined) {
        await this.#withVm(holder.vmId, options, async (record, live) => {
          drives.update(id, { sizeMib });
          const entry = drives.ofVm(record.id).find((candidate) => candidate.driveId === id);
          if (live !== undefined && entry !== undefined) await attached.grow(live, entry);
          else await truncate(driveFile(id, this.#options.paths), sizeMib * MIB);
        });
        this.#options.store.addEvent(holder.vmId, "drive_grown", { drive: drive.name, sizeMib });
      } else {
        drives.update(id, { sizeMib });
        await truncate(driveFile(id, this.#options.paths), sizeMib * MIB);
      }
      return this.#show(this.#find(id));
    });
  }

  /**
   * Gives a VM a drive: at once when it runs, with its next start when it is stopped. Throws DRIVE_IN_USE, DRIVE_LIMIT, DRIVE_MOUNT_FAILED,
   * DRIVE_BUSY, DRIVE_UNSUPPORTED, VM_STATE_CONFLICT; then it does not have it.
   */
  async attach(vm: string, request: DriveAttach, options: WorkOptions = {}): Promise<VmDrive> {
    const { drives, attached, store } = this.#options;
    const drive = this.#find(request.drive);
    return this.#lock(drive.id).run(() =>
      this.#withVm(vm, options, async (record, live) => {
        const wanted = { driveId: drive.id, vmId: record.id, readOnly: request.readOnly ?? false };
        const place = request.path === undefined ? {} : { path: request.path };
        const state = live === undefined ? ("attached" as const) : ("attaching" as const);
        const entry = drives.attach({ ...wanted, ...place, state });
        const shown = toVmDrive({ ...entry, state: "attached" }, record);
        store.addEvent(record.id, "drive_attached", { drive: drive.name, ...place, readOnly: wanted.readOnly });
        if (live === undefined) return shown;
        try {
          const { device } = await attached.plugIn(record, live, entry);
          return { ...shown, device };
        } catch (error) {
          await this.#undoAttach(record, live, entry);
          throw error;
        }
      }),
    );
  }

  async #undoAttach(record: VmRecord, live: LiveVm, entry: DriveOfVm): Promise<void> {
    const { drives, attached, store, log } = this.#options;
    drives.change(record.id, entry.driveId, { state: "detaching" });
    store.addEvent(record.id, "drive_detached", { drive: entry.drive.name });
    try {
      await attached.takeAway(record, live, entry, true);
      drives.detach(record.id, entry.driveId);
    } catch (thrown) {
      if (toFirebreakError(thrown).code === "VM_CRASHED") return drives.detach(record.id, entry.driveId);
      // Whoever starts the VM next, or detaches it by force, has it gone.
      const reason = toFirebreakError(thrown).message;
      log("a drive could not be taken back", { vm: record.name, drive: entry.drive.name, error: reason });
      drives.change(record.id, entry.driveId, { state: "detaching", reason });
    }
  }

  /** Takes a drive from a VM. Throws DRIVE_BUSY when its guest uses it, unless by force: then what uses it is cut off. */
  async detach(vm: string, nameOrId: string, force: boolean, options: WorkOptions = {}): Promise<VmDrive> {
    const { drives, attached, store } = this.#options;
    const drive = this.#find(nameOrId);
    return this.#lock(drive.id).run(() =>
      this.#withVm(vm, { ...options, mayBePaused: force }, async (record, live) => {
        const entry = drives.ofVm(record.id).find((candidate) => candidate.driveId === drive.id);
        if (entry === undefined) throw notAttached(drive, record);
        if (live !== undefined) {
          drives.change(record.id, drive.id, { state: "detaching" });
          try {
            await attached.takeAway(record, live, entry, force);
          } catch (error) {
            drives.change(record.id, drive.id, { state: "attached" });
            throw error;
          }
        }
        drives.detach(record.id, drive.id);
        store.addEvent(record.id, "drive_detached", { drive: drive.name, force });
        return toVmDrive(entry, record);
      }),
    );
  }

  /** After a daemon's end, before anything else: drives that were being made or deleted are gone. */
  async sweep(): Promise<void> {
    const { drives, paths } = this.#options;
    for (const drive of drives.list()) if (drive.state !== "ready") await this.#remove(drive);
    for (const name of await readdir(paths.drives)) {
      if (/\.(new|work)$/.test(name)) await rm(path.join(paths.drives, name), { recursive: true, force: true });
    }
  }

  /** After a daemon's end: VMs that run have their drives. Guests are asked, which may take as long as they like to make it. */
  async recover(): Promise<void> {
    const { drives, vms, attached, log } = this.#options;
    await Promise.all(
      drives.vms().map((id) =>
        vms
          .exclusively(id, async (record, live) => {
            if (live !== undefined && record.state === "running") await attached.restoreAll(record, live);
          })
          .catch((error: unknown) =>
            log("the drives of a VM could not be looked after", { id, error: toFirebreakError(error).message }),
          ),
      ),
    );
  }

  /** Runs `work` with nothing else changing the VM, and its guest where it runs; a suspended VM is brought back for it. */
  async #withVm<T>(
    vm: string,
    options: WorkOptions & { mayBePaused?: boolean },
    work: (record: VmRecord, live: LiveVm | undefined) => Promise<T>,
  ): Promise<T> {
    const { vms } = this.#options;
    const { id, state } = vms.get(vm);
    const run = () =>
      vms.exclusively(id, async (record, live) => {
        const isStill = record.state === "paused" && options.mayBePaused === true;
        if (live !== undefined && (record.state === "running" || isStill)) return work(record, live);
        if (record.state === "stopped" || record.state === "crashed") return work(record, undefined);
        throw notRunning(record);
      });
    return state === "stopped" || state === "crashed" || state === "paused" ? run() : vms.use(id, options, run);
  }

  readonly #show = async (drive: DriveRecord): Promise<Drive> => {
    const { id, name, format, sizeMib, createdAt } = drive;
    const info = await stat(driveFile(id, this.#options.paths)).catch(() => undefined);
    return {
      ...{ id, name, format, sizeMib, createdAt },
      usedBytes: (info?.blocks ?? 0) * 512,
      ...(info === undefined ? {} : { changedAt: info.mtime.toISOString() }),
      attachments: this.#options.drives.ofDrive(id).map(({ vmId, vmName, path: place, readOnly, state, reason }) => ({
        vm: { id: vmId, name: vmName },
        ...(place === undefined ? {} : { path: place }),
        readOnly,
        state,
        ...(reason === undefined ? {} : { reason }),
      })),
    };
  };

  #find(nameOrId: string, format?: DriveFormat): DriveRecord {
    const drive = requireReady(this.#options.drives, nameOrId);
    if (format === undefined || drive.format === format) return drive;
    throw new FirebreakError(
      "DRIVE_NOT_FOUND",
      `the drive '${drive.name}' is no volume: it has no file system of ours`,
      {
        hint: `Use it as a drive: firebreak drive get ${drive.name}`,
      },
    );
  }

  #lock(id: string): Mutex {
    const mutex = this.#locks.get(id) ?? new Mutex();
    this.#locks.set(id, mutex);
    return mutex;
  }
}

function toVmDrive(entry: DriveOfVm, vm: { id: string; name: string }): VmDrive {
  return {
    drive: { id: entry.drive.id, name: entry.drive.name },
    vm: { id: vm.id, name: vm.name },
    ...(entry.path === undefined ? {} : { path: entry.path }),
    readOnly: entry.readOnly,
    state: entry.state,
    ...(entry.reason === undefined ? {} : { reason: entry.reason }),
  };
}

function cannotShrink({ name, sizeMib }: DriveRecord): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `the drive '${name}' has ${sizeMib} MiB and cannot shrink`, {
    details: { field: "sizeMib" },
  });
}

function notAttached(drive: DriveRecord, vm: VmRecord): FirebreakError {
  return new FirebreakError("DRIVE_NOT_FOUND", `the VM '${vm.name}' does not have the drive '${drive.name}'`, {
    hint: `See what it has: firebreak drive list --vm ${vm.name}`,
  });
}

import { randomBytes } from "node:crypto";
import path from "node:path";
import type { Snapshot } from "../contract/snapshot.ts";
import type { Vm } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { Saved, SavedFolder } from "../snapshots/saved-folder.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { AttachedDrives } from "./attached-drives.ts";
import type { ForkOf } from "./creation.ts";
import { requireSavable } from "./network-values.ts";
import type { BootSource, NetworkHooks, WorkOptions } from "./ports.ts";
import { saveVm } from "./save.ts";
import type { VmService } from "./service.ts";
import { SharedLock } from "./shared-lock.ts";
import { cannotShrink } from "./vm-errors.ts";
import type { VmStore } from "./vm-store.ts";

export interface VmSnapshotsOptions {
  paths: FirebreakPaths;
  vms: VmService;
  store: VmStore;
  drivers: VmmDrivers;
  source: BootSource;
  disk: Disk;
  attached: AttachedDrives;
  snapshots: SavedFolder;
  network?: NetworkHooks;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** Snapshots that users take of their VMs. */
export class VmSnapshots {
  readonly #options: VmSnapshotsOptions;
  /** Names of snapshots under way: two at once cannot have one name. */
  readonly #taking = new Set<string>();
  /** By id: what a VM is being brought up from is deleted after that. */
  readonly #locks = new Map<string, SharedLock>();

  constructor(options: VmSnapshotsOptions) {
    this.#options = options;
  }

  /** Removes what the forks of a dead daemon went through. */
  async recover(): Promise<void> {
    for (const { manifest } of await this.#all())
      if (manifest.name === undefined) await this.#options.snapshots.delete(manifest.id);
  }

  async list(): Promise<Snapshot[]> {
    return (await this.#all()).filter(({ manifest }) => manifest.name !== undefined).map(toSnapshot);
  }

  async get(nameOrId: string): Promise<Snapshot> {
    return toSnapshot(await this.#find(nameOrId));
  }

  /** The snapshot and those that it descends from, the nearest first, as far as they have not been deleted. */
  async ancestors(nameOrId: string): Promise<Snapshot[]> {
    const byId = new Map((await this.#all()).map((saved) => [saved.manifest.id, saved]));
    const chain: Snapshot[] = [];
    for (let next = (await this.#find(nameOrId)).manifest.parent; next !== undefined; ) {
      const saved = byId.get(next);
      // A chain that a hand-made manifest closes to a ring ends where it has been already.
      if (saved === undefined || chain.some(({ id }) => id === next)) break;
      chain.push(toSnapshot(saved));
      next = saved.manifest.parent;
    }
    return chain;
  }

  /** Saves a running or paused VM, which goes on. Throws SNAPSHOT_ALREADY_EXISTS, VM_STATE_CONFLICT, SNAPSHOT_FAILED. */
  async create(vm: string, name: string | undefined, options: WorkOptions = {}): Promise<Snapshot> {
    const chosen =
      name ?? `${this.#options.vms.get(vm).name}-${randomBytes(3).toString("hex")}`.slice(-63).replace(/^-/, "");
    return this.#reserving(chosen, async () => {
      const saved = await this.#take(vm, { name: chosen, ...options });
      return toSnapshot(saved);
    });
  }

  /** A new VM that goes on where a snapshot stands. */
  async fork(nameOrId: string, request: ForkOf, options: WorkOptions = {}): Promise<Vm> {
    return this.#using(nameOrId, ({ manifest }) =>
      this.#options.vms.createFrom(manifest, { ...request, snapshot: manifest.id }, options),
    );
  }

  /** The snapshot's VM, as it was then. */
  async restore(nameOrId: string, options: WorkOptions = {}): Promise<Vm> {
    return this.#using(nameOrId, (saved) => this.#options.vms.restoreTo(saved, options));
  }

  /** A second VM that goes on where a running one stands, by a snapshot that is gone afterwards. */
  async forkVm(vm: string, request: ForkOf, options: WorkOptions = {}): Promise<Vm> {
    const { vms, snapshots, drivers } = this.#options;
    if (request.name !== undefined) vms.requireFreeName(request.name);
    const source = vms.get(vm);
    if (request.diskMib !== undefined && request.diskMib < source.diskMib)
      throw cannotShrink(`the VM '${source.name}'`, source.diskMib);
    options.onProgress?.({ step: "snapshot", message: `saving the VM '${vm}'` });
    const { manifest } = await this.#take(vm, options);
    try {
      return await vms.createFrom(manifest, { ...request, snapshot: manifest.parent }, options);
    } finally {
      drivers.release(manifest.memory.sha256);
      await snapshots.delete(manifest.id);
    }
  }

  /** Waits for those that are brought up from it. */
  async delete(nameOrId: string): Promise<Pick<Snapshot, "id" | "name">> {
    const { snapshots, drivers } = this.#options;
    const found = await this.#look(nameOrId);
    if (found instanceof FirebreakError) {
      // One that is not whole can still be deleted.
      const { folder, name } = found.details as { folder: string; name?: string };
      const id = path.basename(folder);
      await snapshots.delete(id);
      return { id, name: name ?? id };
    }
    const { id, memory } = found.manifest;
    await this.#lock(id).alone(async () => {
      await this.#look(id);
      drivers.release(memory.sha256);
      await snapshots.delete(id);
    });
    this.#locks.delete(id);
    return toSnapshot(found);
  }

  /** Throws SNAPSHOT_NOT_FOUND, also when it is deleted before its turn comes. */
  async #using<T>(nameOrId: string, work: (saved: Saved) => Promise<T>): Promise<T> {
    const { id } = (await this.#find(nameOrId)).manifest;
    return this.#lock(id).share(async () => work(await this.#find(id)));
  }

  #lock(id: string): SharedLock {
    const lock = this.#locks.get(id) ?? new SharedLock();
    this.#locks.set(id, lock);
    return lock;
  }

  async #take(vm: string, options: WorkOptions & { name?: string }): Promise<Saved> {
    const { vms, snapshots, store } = this.#options;
    const id = randomBytes(6).toString("hex");
    const take = () =>
      vms.exclusively(vm, async (record, live) => {
        if (live === undefined || (record.state !== "running" && record.state !== "paused")) {
          throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${record.name}' is ${record.state}`, {
            hint: `Only a running or paused VM has a state to save. Start it: firebreak vm start ${record.name}`,
          });
        }
        requireSavable(this.#options.network, record);
        options.onProgress?.({ step: "snapshot", message: `saving the VM '${record.name}'` });
        const staged = await snapshots.stage(id);
        try {
          const afterwards = record.state === "paused" ? "stay_paused" : "continue";
          const save = () => saveVm(record, live, staged, { ...this.#options, ...options, id, afterwards });
          // A recorder holds its memory once more for as long as the save lasts.
          const saveOnce = () => this.#options.attached.without(record, live, save);
          const manifest = await vms.withMemory(record.memoryMib, saveOnce);
          const saved = await snapshots.commit(staged, manifest);
          if (options.name !== undefined)
            store.note(record.id, { snapshot: id }, "snapshot", { name: options.name, id });
          return saved;
        } catch (error) {
          await snapshots.discard(staged);
          throw error;
        }
      });
    // A paused VM cannot be used, but has a state to save.
    return vms.get(vm).state === "paused" ? take() : vms.use(vm, options, take);
  }

  async #reserving<T>(name: string, work: () => Promise<T>): Promise<T> {
    const isFree = await this.#look(name).then(
      () => false,
      (error: unknown) => error instanceof FirebreakError && error.code === "SNAPSHOT_NOT_FOUND",
    );
    if (!isFree || this.#taking.has(name)) {
      throw new FirebreakError("SNAPSHOT_ALREADY_EXISTS", `a snapshot named '${name}' exists`, {
        hint: `Choose another name, or delete it: firebreak snapshot delete ${name}`,
      });
    }
    this.#taking.add(name);
    try {
      return await work();
    } finally {
      this.#taking.delete(name);
    }
  }

  #all(): Promise<Saved[]> {
    return this.#options.snapshots.list((id, error) =>
      this.#options.log("a snapshot is corrupt", { id, error: error.message }),
    );
  }

  async #find(nameOrId: string): Promise<Saved> {
    const found = await this.#look(nameOrId);
    if (found instanceof FirebreakError) throw found;
    return found;
  }

  /** The snapshot of a name or id, or what is wrong with it. Throws SNAPSHOT_NOT_FOUND. */
  async #look(nameOrId: string): Promise<Saved | FirebreakError> {
    let fault: FirebreakError | undefined;
    const all = await this.#options.snapshots.list((id, error) => {
      if (id === nameOrId || error.details?.name === nameOrId) fault = error;
    });
    const saved = all.find(({ manifest }) => manifest.name === nameOrId || manifest.id === nameOrId);
    if (saved !== undefined) return saved;
    if (fault !== undefined) return fault;
    throw new FirebreakError("SNAPSHOT_NOT_FOUND", `no snapshot is named '${nameOrId}'`, {
      hint: "List them: firebreak snapshot list",
    });
  }
}

function toSnapshot({ manifest }: Saved): Snapshot {
  const { machine, overlay } = manifest;
  return {
    id: manifest.id,
    name: manifest.name ?? manifest.id,
    createdAt: manifest.createdAt,
    vm: { id: manifest.vm?.id ?? "", name: manifest.vm?.name ?? "" },
    ...(manifest.parent === undefined ? {} : { parent: manifest.parent }),
    image: manifest.image,
    imageDigest: manifest.imageDigest,
    kernelId: manifest.kernelId,
    ...machine,
    policy: manifest.policy,
    sizeBytes: manifest.memory.dataBytes + manifest.state.sizeBytes + (overlay?.dataBytes ?? 0),
    stoppedMs: manifest.stoppedMs,
  };
}

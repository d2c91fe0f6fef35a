import type { VmMount } from "../contract/mount.ts";
import type { Vm, VmCreateParsed } from "../contract/vm.ts";
import type { WorkspaceSpec } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { Saved } from "../snapshots/saved-folder.ts";
import type { Reservation } from "./admission.ts";
import type { Ending } from "./ending.ts";
import { fromManifest, requireSameMachine } from "./from-manifest.ts";
import { fromRequest, makeVmRecord, type NewVm } from "./from-request.ts";
import type { VmParts } from "./parts.ts";
import type { KernelRef, WorkOptions } from "./ports.ts";
import type { Known, Starting, StartOptions } from "./starting.ts";
import { cannotShrink } from "./vm-errors.ts";
import type { StartFrom, VmRecord } from "./vm-store.ts";

/** What a fork has otherwise than what it is forked from. */
export interface ForkOf {
  name?: string | undefined;
  diskMib?: number | undefined;
  mounts?: readonly VmMount[] | undefined;
}

interface CreationOptions
  extends Pick<
    VmParts,
    | "store"
    | "drivers"
    | "defaultDriver"
    | "source"
    | "attached"
    | "admission"
    | "workspaces"
    | "network"
    | "mounts"
    | "locks"
    | "lifetimes"
    | "sources"
    | "steps"
    | "roster"
  > {
  starting: Starting;
  ending: Ending;
}

/** VMs that are made: of an image, as forks of a snapshot, and anew where a snapshot's own is brought back. */
export class Creation {
  readonly #options: CreationOptions;

  constructor(options: CreationOptions) {
    this.#options = options;
  }

  /** See `VmService.create`. */
  async create(request: VmCreateParsed, options: WorkOptions & { ephemeral?: boolean }): Promise<Vm> {
    const { source, admission, attached, network, roster } = this.#options;
    if (request.name !== undefined) roster.requireFreeName(request.name);
    network?.check(request.network, request.secrets);
    const { admissionWaitMs } = request;
    const workspace = await this.#resolveWorkspace(request.workspace);
    const mounts = await this.#resolveMounts(request.mounts);
    const reservation = await admission.admit(request.memoryMib, { ...options, admissionWaitMs });
    try {
      attached.check(request.volumes ?? []);
      const image = await source.resolveImage(request.image, options);
      const kernel = await source.resolveKernel(options);
      const isEphemeral = options.ephemeral ?? false;
      const machine = await this.#chooseDriver(request, kernel, options);
      const record = this.#newRecord(fromRequest({ ...request, mounts }, { image, kernel, ...machine, isEphemeral }));
      const claim = () => attached.claim(record, request.volumes ?? []);
      return await this.#startNew(record, { ...options, workspace }, reservation, { image, kernel }, claim);
    } finally {
      reservation.release();
    }
  }

  /** Which driver a new VM has for its life, and whether it has to boot since the driver can restore no such VM. */
  async #chooseDriver(
    request: VmCreateParsed,
    boot: KernelRef,
    { signal }: WorkOptions,
  ): Promise<{ driver: string; hasToBoot: boolean }> {
    const { driver } = await this.#options.drivers.choose({
      driver: request.driver ?? this.#options.defaultDriver?.() ?? "auto",
      accel: request.accel,
      hasVolumes: (request.volumes ?? []).length > 0,
      hasUserCard: this.#options.network?.hasUserCard(request.network) ?? false,
      boot,
      signal,
    });
    const { canSave, plugsAtRestore } = await driver.abilities();
    return { driver: driver.name, hasToBoot: !canSave || (request.network.mode === "nat" && !plugsAtRestore) };
  }

  async #resolveWorkspace(spec: WorkspaceSpec | undefined): Promise<WorkspaceSpec | undefined> {
    const { workspaces } = this.#options;
    if (spec === undefined || workspaces === undefined) return undefined;
    return { ...spec, directory: await workspaces.resolve(spec.directory) };
  }

  async #resolveMounts(mounts: readonly VmMount[] | undefined): Promise<VmMount[]> {
    if (mounts === undefined || mounts.length === 0) return [];
    return (await this.#options.mounts?.resolve(mounts)) ?? [];
  }

  /** See `VmService.createFrom`. */
  async createFrom(
    manifest: Manifest,
    request: ForkOf & { snapshot: string | undefined },
    options: WorkOptions,
  ): Promise<Vm> {
    const { machine } = manifest;
    const mounts = await this.#resolveMounts(request.mounts);
    if (request.diskMib !== undefined && request.diskMib < machine.diskMib) {
      throw cannotShrink(`the snapshot ${manifest.name ?? manifest.id}`, machine.diskMib);
    }
    return this.#options.admission.withMemory(machine.memoryMib, (reservation) => {
      const diskMib = request.diskMib ?? machine.diskMib;
      const record = this.#newRecord({ ...fromManifest(manifest), ...request, mounts, diskMib });
      return this.#startNew(record, options, reservation);
    });
  }

  /** See `VmService.restoreTo`. */
  async restoreTo(saved: Saved, options: WorkOptions): Promise<Vm> {
    const { store, admission, locks, roster, sources, steps, starting } = this.#options;
    const { manifest } = saved;
    const origin = manifest.vm;
    if (origin === undefined)
      throw new FirebreakError("SNAPSHOT_CORRUPT", `the snapshot ${manifest.id} does not say which VM it is of`);
    const startFrom: StartFrom = { from: "snapshot", id: manifest.id, isFork: false };
    const existing = store.get(origin.id);
    if (existing === undefined) {
      return admission.withMemory(manifest.machine.memoryMib, (reservation) => {
        const snapshot = manifest.id;
        const record = this.#newRecord({ ...fromManifest(manifest), name: origin.name, startFrom, snapshot });
        return this.#startNew({ ...record, id: origin.id }, options, reservation);
      });
    }
    requireSameMachine(existing, manifest);
    const restore = async (current: VmRecord) => {
      if (current.state === "running") await steps.run({ kind: "let_go_of_drives" }, { record: current, options });
      await steps.run({ kind: "end_vmm" }, { record: current, options });
      // Of a machine that is given up: with the restored drive it would be no machine.
      await steps.run({ kind: "discard_suspension" }, { record: current, options });
      const { diskMib } = manifest.machine;
      const changes = { state: "created", startFrom, diskMib, snapshot: manifest.id, reason: undefined } as const;
      const record = store.note(current.id, changes, "restored", { snapshot: manifest.name ?? manifest.id });
      // Its memory fits only the drive that is replaced now.
      await sources.discardSuspension(record);
      return starting.startLocked(record, options);
    };
    return locks.run(existing.id, async () => {
      const current = roster.find(existing.id);
      // Whole and of this host, before what is there is given up.
      await sources.verify(saved);
      return admission.withMemory(current.memoryMib, () => restore(current), current);
    });
  }

  #newRecord(given: NewVm): VmRecord {
    const { store, roster } = this.#options;
    if (given.name !== undefined) roster.requireFreeName(given.name);
    return makeVmRecord(given, store);
  }

  async #startNew(
    record: VmRecord,
    options: StartOptions,
    reservation: Reservation,
    known: Known = {},
    /** Runs once the VM is noted, before it starts. */
    prepare: () => void = () => {},
  ): Promise<Vm> {
    const { store, workspaces, lifetimes, starting, ending } = this.#options;
    const { image, memoryMib, cpus, startFrom } = record;
    store.insert(record, { image, memoryMib, cpus, from: startFrom.from });
    reservation.vmId = record.id;
    if (options.workspace !== undefined) workspaces?.declare(record, options.workspace);
    lifetimes.watch(record);
    try {
      prepare();
      return await starting.start(record.id, options, known, reservation);
    } catch (error) {
      // A VM that never ran is of no use to whoever asked for it; its console's end is in the error.
      await ending.delete(record.id).catch(() => {});
      throw error;
    }
  }
}

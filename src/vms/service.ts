import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { VmEvent } from "../contract/event.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { Vm, VmCreateParsed, VmPlan, VmStats, VmUpdate } from "../contract/vm.ts";
import type { WorkspaceSpec } from "../contract/workspace.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { orGiveUp, throwIfAborted } from "../platform/abort.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { Saved, SavedFolder } from "../snapshots/saved-folder.ts";
import type { Templates } from "../snapshots/templates.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import { Admission } from "./admission.ts";
import type { AttachedDrives } from "./attached-drives.ts";
import { fromManifest, requireSameMachine } from "./from-manifest.ts";
import { changesOf, fromRequest, makeVmRecord, type NewVm } from "./from-request.ts";
import { IdleWatch } from "./idle.ts";
import { Lifetimes } from "./lifetimes.ts";
import { LiveVm } from "./live-vm.ts";
import { overlayPath, vmDir } from "./machine.ts";
import { Mutex } from "./mutex.ts";
import { networkValues, requireSavable } from "./network-values.ts";
import { planVm, type VmFacts, type VmTarget } from "./plan.ts";
import type { BootSource, NetworkHooks, VmLink, VmNetwork, WorkOptions, WorkspaceHooks } from "./ports.ts";
import { discardStaleSuspension, recoverVm } from "./recovery.ts";
import { Sources } from "./sources.ts";
import { readVmStats } from "./stats.ts";
import { consoleReason, type StepContext, VmSteps } from "./steps.ts";
import { cannotShrink, notRunning } from "./vm-errors.ts";
import type { EventFilter, StartFrom, VmRecord, VmStore } from "./vm-store.ts";
import { toVm } from "./vm-view.ts";
import { type AwaitedState, type WaitOptions, waitForVm } from "./wait.ts";

/** VMMs of a root daemon run as users from here on: above what Debian, systemd and container runtimes hand out. */
export const FIRST_VM_UID = 961_000_000;
const ATTACH_DEADLINE_MS = 10_000;
/** A guest that is told of its network may be busy. */
const TELL_DEADLINE_MS = 10_000;

export interface VmServiceOptions {
  paths: FirebreakPaths;
  store: VmStore;
  driver: VmmDriver;
  source: BootSource;
  templates: Templates;
  snapshots: SavedFolder;
  disk: Disk;
  attached: AttachedDrives;
  log: (message: string, fields: Record<string, unknown>) => void;
  admission?: Admission;
  workspaces?: WorkspaceHooks;
  network?: NetworkHooks;
}

type StartOptions = WorkOptions & { admissionWaitMs?: number | undefined; workspace?: WorkspaceSpec | undefined };

/** The life of all VMs of one daemon. */
export class VmService {
  readonly #options: VmServiceOptions;
  readonly #live = new Map<string, LiveVm>();
  readonly #locks = new Map<string, Mutex>();
  /** Starts under way, so that a deletion does not wait for a boot. */
  readonly #starting = new Map<string, AbortController>();
  /** Graceful stops under way, so that a forced one or a deletion does not wait for their grace. */
  readonly #stopping = new Map<string, AbortController>();
  /** VMs that are worked on by `exclusively`. */
  readonly #exclusive = new Set<string>();
  readonly #idle = new IdleWatch((id) => void this.#suspendIdle(id));
  readonly #admission: Admission;
  readonly #lifetimes: Lifetimes;
  readonly #sources: Sources;
  readonly #steps: VmSteps;

  constructor(options: VmServiceOptions) {
    this.#options = options;
    this.#admission = options.admission ?? new Admission();
    this.#lifetimes = new Lifetimes({
      store: options.store,
      log: options.log,
      restart: (id) => this.#restart(id),
      stop: async (id, graceMs) => void (await this.stop(id, graceMs)),
      setAside: (id) => this.#setAside(id),
      delete: (id) => this.delete(id),
    });
    this.#sources = new Sources(options);
    this.#steps = new VmSteps({
      ...options,
      sources: this.#sources,
      open: (record) => this.#open(record),
      close: (record) => this.#close(record),
      live: (record) => this.#live.get(record.id),
    });
  }

  list(): Vm[] {
    return this.#options.store.list().map((record) => this.#toVm(record));
  }

  get(nameOrId: string): Vm {
    return this.#toVm(this.#find(nameOrId));
  }

  /** The history of one VM, or of all; `vm` may be one that has been deleted, by its id. */
  events({ vm, ...filter }: Omit<EventFilter, "vmId"> & { vm?: string | undefined }): VmEvent[] {
    if (vm === undefined) return this.#options.store.events(filter);
    const vmId = this.#options.store.find(vm)?.id ?? vm;
    return this.#options.store.events({ ...filter, vmId });
  }

  onEvent(listener: (event: VmEvent) => void): () => void {
    return this.#options.store.onEvent(listener);
  }

  /** See `waitForVm`. */
  async wait(nameOrId: string, states: readonly AwaitedState[], options: WaitOptions) {
    return waitForVm(this.#options.store, this.#find(nameOrId).id, states, options, (record) => this.#toVm(record));
  }

  async stats(nameOrId: string): Promise<VmStats> {
    const record = this.#find(nameOrId);
    return readVmStats(record, this.#live.get(record.id), this.#options);
  }

  /** Changes what may be changed of a VM whatever its state. Throws VM_ALREADY_EXISTS when its new name is taken. */
  update(nameOrId: string, request: VmUpdate): Vm {
    const record = this.#find(nameOrId);
    if (request.name !== undefined && request.name !== record.name) this.requireFreeName(request.name);
    const updated = this.#options.store.note(record.id, changesOf(record, request), "updated", request);
    const { idleTimeoutMs } = updated;
    if (idleTimeoutMs === undefined || updated.state !== "running") this.#idle.forget(record.id);
    else if (request.idleTimeoutMs !== undefined) this.#idle.watch(record.id, idleTimeoutMs);
    this.#lifetimes.watch(updated);
    return this.#toVm(updated);
  }

  /**
   * Gives a VM another policy, as it runs. Throws POLICY_INVALID, VM_STATE_CONFLICT for one with a network card that runs, which comes and goes
   * with a start, NETWORK_SETUP_FAILED; it has its old policy then.
   */
  async setPolicy(nameOrId: string, policy: EgressPolicy, secrets?: SecretGrant[]): Promise<Vm> {
    const { id, secrets: granted } = this.#find(nameOrId);
    this.#options.network?.check(policy, secrets ?? granted);
    return this.#lock(id).run(async () => {
      const { name, policy: old, secrets: oldSecrets, state } = this.#find(id);
      if (this.#live.has(id) && (old.mode === "nat") !== (policy.mode === "nat"))
        throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${name}' gets or loses its network card with a start`, {
          hint: `Stop it first: firebreak vm stop ${name}; then set the policy, and start it.`,
        });
      const record = this.#options.store.note(
        id,
        { policy, ...(secrets === undefined ? {} : { secrets }) },
        "policy_changed",
        {
          from: old.mode,
          to: policy.mode,
          ...(secrets === undefined ? {} : { secrets: secrets.map(({ name }) => name) }),
        },
      );
      const live = this.#live.get(id);
      const { network } = this.#options;
      if (live === undefined || network === undefined) return this.#toVm(record);
      await network.enforce(record, this.#linkOf(record, live)).catch((error: unknown) => {
        // What is said of it must be what holds.
        const { message: reason } = toFirebreakError(error);
        const kept = { from: policy.mode, to: old.mode, reason };
        this.#options.store.note(id, { policy: old, secrets: oldSecrets }, "policy_changed", kept);
        throw error;
      });
      // One that stands still is told when it goes on.
      if (state === "running") {
        await this.#tellNetwork(record, live);
        await network.ready(id);
      }
      return this.#toVm(record);
    });
  }

  /** A secret has changed: what running VMs have of it in their environment changes, too. */
  async secretChanged(secret: string): Promise<void> {
    const users = this.#options.store.list().filter(({ secrets }) => secrets.some(({ name }) => name === secret));
    for (const record of users) {
      const live = this.#live.get(record.id);
      if (live === undefined || record.state !== "running") continue;
      await this.#tellNetwork(record, live).catch((error: unknown) =>
        this.#options.log("a VM was not told of a secret", { vm: record.name, error: toFirebreakError(error).message }),
      );
    }
  }

  #toVm(record: VmRecord): Vm {
    const { attached, network } = this.#options;
    return toVm(record, attached.list(record), network?.exposedIn(record));
  }

  async #tellNetwork(record: VmRecord, { client }: LiveVm): Promise<void> {
    const values = await networkValues(this.#options.network, record, record.agent?.features ?? []);
    await client.personalise(values, { deadlineMs: TELL_DEADLINE_MS });
  }

  /** What its network is made of. */
  networkOf(nameOrId: string): VmNetwork {
    return this.#find(nameOrId);
  }

  consoleLogPath(nameOrId: string): string {
    return path.join(vmDir(this.#find(nameOrId), this.#options.paths), "console.log");
  }

  /** The live side of a running VM. Throws VM_STATE_CONFLICT when it does not run. */
  live(nameOrId: string): LiveVm {
    const record = this.#find(nameOrId);
    const live = this.#live.get(record.id);
    if (live !== undefined && record.state === "running") return live;
    throw notRunning(record);
  }

  /** A VM that `use` would not refuse right away. Throws VM_STATE_CONFLICT. */
  requireUsable(nameOrId: string): Vm {
    const record = this.#find(nameOrId);
    if (record.state === "stopped" || record.state === "crashed" || record.state === "paused") throw notRunning(record);
    return this.#toVm(record);
  }

  /**
   * Lends a VM's live side for as long as `work` takes: a VM that is starting is waited for, a suspended one is brought back.
   * Throws VM_STATE_CONFLICT when it neither runs nor is about to.
   */
  async use<T>(nameOrId: string, options: WorkOptions, work: (live: LiveVm) => Promise<T>): Promise<T> {
    const { id } = this.#find(nameOrId);
    return this.#idle.during(id, async () => work(await this.#awaken(id, options)));
  }

  /** Counts as a use that is over at once: traffic of a forward. */
  touch(id: string): void {
    this.#idle.touch(id);
  }

  async #awaken(id: string, options: WorkOptions): Promise<LiveVm> {
    let record = this.#find(id);
    if (record.state === "created" || record.state === "starting" || record.state === "suspending") {
      options.onProgress?.({ step: "wait", message: `waiting for the VM '${record.name}', which is ${record.state}` });
      record = await orGiveUp(
        this.#lock(id).run(async () => this.#find(id)),
        options.signal,
      );
    }
    if (record.state === "suspended") {
      options.onProgress?.({ step: "restore", message: `bringing the VM '${record.name}' back` });
      await orGiveUp(this.start(id, options), options.signal);
    }
    return this.live(id);
  }

  /** Why a request to a VM's guest broke: the VM's end when it has ended, the channel otherwise. */
  async explainLoss(nameOrId: string): Promise<FirebreakError> {
    const record = this.#options.store.find(nameOrId);
    const live = record === undefined ? undefined : this.#live.get(record.id);
    // The end of a VMM is heard a moment after its channel's.
    if (record !== undefined && live !== undefined) {
      await this.#options.driver.waitForExit(live.vmm, AbortSignal.any([live.signal, AbortSignal.timeout(500)]));
      if (!(await this.#options.driver.isAlive(live.vmm))) await this.#afterExit(record, live);
    }
    const current =
      record === undefined
        ? undefined
        : await this.#lock(record.id).run(async () => this.#options.store.get(record.id));
    if (current !== undefined && (current.state === "running" || current.state.startsWith("suspend"))) {
      const isOther = live !== undefined && this.#live.get(current.id) !== live;
      const what = isOther
        ? `the VM '${current.name}' has been suspended or restored meanwhile`
        : `the channel to the VM '${current.name}' broke`;
      return new FirebreakError("CHANNEL_LOST", what, {
        hint: `What ran in it may still run: firebreak vm execs ${current.name}, then firebreak vm attach ${current.name} ID`,
      });
    }
    const why = current?.reason === undefined ? "" : `: ${current.reason}`;
    const state =
      current === undefined || current.state === "deleting" ? "has been deleted" : `has ended (${current.state})${why}`;
    return new FirebreakError("VM_CRASHED", `the VM '${record?.name ?? nameOrId}' ${state}`);
  }

  async create(request: VmCreateParsed, options: WorkOptions & { ephemeral?: boolean } = {}): Promise<Vm> {
    const { driver, source } = this.#options;
    if (request.name !== undefined) this.requireFreeName(request.name);
    this.#options.network?.check(request.network, request.secrets);
    const { admissionWaitMs } = request;
    const workspace = await this.#resolveWorkspace(request.workspace);
    await this.#admission.admit(request.memoryMib, { ...options, admissionWaitMs });
    this.#options.attached.check(request.volumes ?? []);
    const image = await source.resolveImage(request.image, options);
    const kernel = await source.resolveKernel(options);
    const isEphemeral = options.ephemeral ?? false;
    const record = this.#newRecord(fromRequest(request, { image, kernel, driver: driver.name, isEphemeral }));
    const claim = () => this.#options.attached.claim(record, request.volumes ?? []);
    return this.#startNew(record, { ...options, admissionWaitMs, workspace }, { image, kernel }, claim);
  }

  async #resolveWorkspace(spec: WorkspaceSpec | undefined): Promise<WorkspaceSpec | undefined> {
    const { workspaces } = this.#options;
    if (spec === undefined || workspaces === undefined) return undefined;
    return { ...spec, directory: await workspaces.resolve(spec.directory) };
  }

  /** A new VM that goes on where a snapshot stands. `snapshot` is the one that it will be said to come from. */
  async createFrom(
    manifest: Manifest,
    request: { name?: string | undefined; diskMib?: number | undefined; snapshot: string | undefined },
    options: WorkOptions = {},
  ): Promise<Vm> {
    const { machine } = manifest;
    this.admit(machine.memoryMib);
    if (request.diskMib !== undefined && request.diskMib < machine.diskMib) {
      throw cannotShrink(`the snapshot ${manifest.name ?? manifest.id}`, machine.diskMib);
    }
    return this.#startNew(
      this.#newRecord({ ...fromManifest(manifest), ...request, diskMib: request.diskMib ?? machine.diskMib }),
      options,
    );
  }

  /** The VM that a snapshot was taken of, as it was then; made again when it has been deleted. What it is now is lost. */
  async restoreTo(saved: Saved, options: WorkOptions = {}): Promise<Vm> {
    const { store } = this.#options;
    const { manifest } = saved;
    const origin = manifest.vm;
    if (origin === undefined)
      throw new FirebreakError("SNAPSHOT_CORRUPT", `the snapshot ${manifest.id} does not say which VM it is of`);
    const startFrom: StartFrom = { from: "snapshot", id: manifest.id, isFork: false };
    const existing = store.get(origin.id);
    if (existing === undefined) {
      this.admit(manifest.machine.memoryMib);
      const record = this.#newRecord({
        ...fromManifest(manifest),
        name: origin.name,
        startFrom,
        snapshot: manifest.id,
      });
      return this.#startNew({ ...record, id: origin.id }, options);
    }
    requireSameMachine(existing, manifest);
    return this.#lock(existing.id).run(async () => {
      const current = this.#find(existing.id);
      // Whole and of this host, before what is there is given up.
      await this.#sources.verify(saved);
      if (current.state !== "running" && current.state !== "paused") this.admit(current.memoryMib);
      if (current.state === "running")
        await this.#steps.run({ kind: "let_go_of_drives" }, { record: current, options });
      await this.#steps.run({ kind: "end_vmm" }, { record: current, options });
      // Of a machine that is given up: with the restored drive it would be no machine.
      await this.#steps.run({ kind: "discard_suspension" }, { record: current, options });
      const { diskMib } = manifest.machine;
      const changes = { state: "created", startFrom, diskMib, snapshot: manifest.id, reason: undefined } as const;
      const record = store.note(current.id, changes, "restored", { snapshot: manifest.name ?? manifest.id });
      // Its memory fits only the drive that is replaced now.
      await this.#sources.discardSuspension(record);
      return this.#startLocked(record, options);
    });
  }

  /** Throws VM_ALREADY_EXISTS before anything that takes time is begun. */
  requireFreeName(name: string): void {
    if (this.#options.store.find(name) === undefined) return;
    throw new FirebreakError("VM_ALREADY_EXISTS", `a VM named '${name}' exists`, {
      hint: `Choose another name, or delete it: firebreak vm delete ${name}`,
    });
  }

  #newRecord(given: NewVm): VmRecord {
    const { store } = this.#options;
    if (given.name !== undefined) this.requireFreeName(given.name);
    return makeVmRecord(given, store, FIRST_VM_UID);
  }

  async #startNew(
    record: VmRecord,
    options: StartOptions,
    known: Pick<StepContext, "image" | "kernel"> = {},
    /** Runs once the VM is noted, before it starts. */
    prepare: () => void = () => {},
  ): Promise<Vm> {
    const { image, memoryMib, cpus, startFrom } = record;
    this.#options.store.insert(record, { image, memoryMib, cpus, from: startFrom.from });
    if (options.workspace !== undefined) this.#options.workspaces?.declare(record, options.workspace);
    this.#lifetimes.watch(record);
    try {
      prepare();
      return await this.start(record.id, options, known);
    } catch (error) {
      // A VM that never ran is of no use to whoever asked for it; its console's end is in the error.
      await this.delete(record.id).catch(() => {});
      throw error;
    }
  }

  async start(
    nameOrId: string,
    options: StartOptions = {},
    known: Pick<StepContext, "image" | "kernel"> = {},
  ): Promise<Vm> {
    const { id, memoryMib, state } = this.#find(nameOrId);
    const hasMemory = state === "running" || state === "paused";
    // Not while it is locked: a deletion need not wait for the host's memory.
    if (options.admissionWaitMs !== undefined && !hasMemory) await this.#admission.admit(memoryMib, options);
    this.#lifetimes.callOffRestart(id);
    return this.#lock(id).run(async () => {
      const current = this.#find(id);
      if (current.state === "deleting")
        throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${current.name}' is being deleted`);
      if (current.state !== "running" && current.state !== "paused") this.admit(current.memoryMib);
      const isAsked = current.isWanted && current.restartCount === 0;
      const record = isAsked ? current : this.#options.store.update(id, { isWanted: true, restartCount: 0 });
      return this.#startLocked(record, options, known);
    });
  }

  async #startLocked(
    record: VmRecord,
    options: WorkOptions,
    known: Pick<StepContext, "image" | "kernel"> = {},
  ): Promise<Vm> {
    const aborter = new AbortController();
    // Bringing a VM back cannot be called off: its drive goes on with it, and what it was saved to is then of no use any more.
    const isCancelable = options.signal !== undefined && record.startFrom.from !== "suspension";
    const signal = isCancelable ? AbortSignal.any([aborter.signal, options.signal as AbortSignal]) : aborter.signal;
    this.#starting.set(record.id, aborter);
    try {
      await this.#reach(record, { state: "running" }, { ...options, signal }, known);
    } catch (error) {
      await this.#afterFailedStart(record.id, error);
      throw error;
    } finally {
      this.#starting.delete(record.id);
    }
    return this.#toVm(this.#find(record.id));
  }

  /** Stops a running VM's virtual CPUs where they are. Throws VM_STATE_CONFLICT when it does not run. */
  async pause(nameOrId: string): Promise<Vm> {
    return this.exclusively(nameOrId, async (record) => {
      if (record.state !== "running" && record.state !== "paused") throw notRunning(record);
      await this.#reach(record, { state: "paused" }, {});
      return this.#toVm(this.#find(record.id));
    });
  }

  async resume(nameOrId: string): Promise<Vm> {
    return this.exclusively(nameOrId, async (record) => {
      if (record.state !== "running" && record.state !== "paused" && record.state !== "suspended")
        throw notRunning(record);
      if (record.state === "suspended") this.admit(record.memoryMib);
      return this.#startLocked(record, {});
    });
  }

  /** Saves a VM and ends its VMM, until it is used again. */
  async suspend(nameOrId: string, options: WorkOptions & { isStillWanted?: () => boolean } = {}): Promise<Vm> {
    return this.exclusively(nameOrId, async (record) => {
      if (record.state !== "running" && record.state !== "suspended") throw notRunning(record);
      if (record.state === "running") requireSavable(this.#options.network, record);
      try {
        await this.#reach(record, { state: "suspended" }, options, {}, options.isStillWanted);
      } catch (error) {
        await this.#afterFailedSuspend(record.id, error);
        throw error;
      }
      return this.#toVm(this.#find(record.id));
    });
  }

  /** Suspends a VM whose time is over, once what is done with it is done; of one that has crashed, what starts it again is called off. */
  async #setAside(id: string): Promise<void> {
    const { state } = await this.exclusively(id, async (record) => record);
    if (state === "paused") await this.resume(id);
    if (state === "running" || state === "paused") await this.suspend(id);
    else if (state === "crashed") await this.stop(id, 0);
  }

  async #suspendIdle(id: string): Promise<void> {
    try {
      const useCount = this.#idle.useCount(id);
      const isStillWanted = () => this.#idle.useCount(id) === useCount;
      if (!(await this.#isBusy(id))) await this.suspend(id, { isStillWanted });
      this.#idle.postpone(id);
    } catch (error) {
      this.#options.log("an idle VM could not be suspended", { id, error: toFirebreakError(error).message });
      this.#idle.postpone(id);
    }
  }

  /** A command that still runs is a use, also when nobody is attached to it. */
  async #isBusy(id: string): Promise<boolean> {
    const live = this.#live.get(id);
    if (live === undefined || this.#options.store.get(id)?.state !== "running") return true;
    return (await live.client.execList()).some((exec) => exec.state === "running");
  }

  /** A VM whose save failed goes on if its VMM still does. */
  async #afterFailedSuspend(id: string, thrown: unknown): Promise<void> {
    const record = this.#options.store.get(id);
    if (record?.state !== "suspending") return;
    const isAlive = record.vmm !== undefined && (await this.#options.driver.isAlive(record.vmm));
    const reason = toFirebreakError(thrown).message;
    // One that has been saved to the end stands still.
    if (isAlive) await this.#options.driver.settle(record.vmm as NonNullable<VmRecord["vmm"]>, "running");
    else await this.#steps.run({ kind: "end_vmm" }, { record, options: {} });
    const changes = isAlive ? { state: "running" as const } : { state: "crashed" as const, reason };
    this.#options.store.note(id, changes, "suspend_failed", { reason });
  }

  /** Runs `work` while nothing else changes the VM. */
  exclusively<T>(nameOrId: string, work: (record: VmRecord, live: LiveVm | undefined) => Promise<T>): Promise<T> {
    const { id } = this.#find(nameOrId);
    return this.#lock(id).run(async () => {
      this.#exclusive.add(id);
      try {
        return await work(this.#find(id), this.#live.get(id));
      } finally {
        this.#exclusive.delete(id);
      }
    });
  }

  /** Ends the VMM of a VM that is being saved or paused, which may take long, or for ever if the VMM stands still. */
  async #interrupt(record: VmRecord): Promise<void> {
    const vmm = this.#options.store.get(record.id)?.vmm;
    if (this.#exclusive.has(record.id) && vmm !== undefined) await this.#options.driver.kill(vmm);
  }

  /** `staysWanted`: it is not the VM that is to end, but the daemon. One whose restart policy says `always` is started again by the next one. */
  async stop(nameOrId: string, graceMs: number, options: WorkOptions & { staysWanted?: boolean } = {}): Promise<Vm> {
    const record = this.#find(nameOrId);
    this.#lifetimes.callOffRestart(record.id);
    if (record.isWanted && options.staysWanted !== true) this.#options.store.update(record.id, { isWanted: false });
    if (graceMs === 0) {
      this.#stopping.get(record.id)?.abort();
      await this.#interrupt(record);
    }
    return this.#lock(record.id).run(async () => {
      const aborter = new AbortController();
      this.#stopping.set(record.id, aborter);
      try {
        await this.#reach(this.#find(record.id), { state: "stopped", graceMs }, { ...options, signal: aborter.signal });
      } finally {
        this.#stopping.delete(record.id);
      }
      return this.#toVm(this.#find(record.id));
    });
  }

  async delete(nameOrId: string, options: WorkOptions = {}): Promise<void> {
    const record = this.#find(nameOrId);
    this.#starting.get(record.id)?.abort();
    this.#stopping.get(record.id)?.abort();
    await this.#interrupt(record);
    await this.#lock(record.id).run(async () => {
      const current = this.#options.store.get(record.id);
      if (current !== undefined) await this.#reach(current, { state: "absent" }, options);
    });
    this.#locks.delete(record.id);
    this.#idle.forget(record.id);
    this.#lifetimes.forget(record.id);
    this.#options.network?.forget(record.id);
  }

  /** Starts a VM again that ended by itself, unless somebody has seen to it meanwhile. */
  async #restart(id: string): Promise<void> {
    await this.#lock(id).run(async () => {
      const record = this.#options.store.get(id);
      if (record === undefined || !record.isWanted) return;
      if (record.state !== "stopped" && record.state !== "crashed") return;
      this.admit(record.memoryMib);
      await this.#startLocked(record, {});
    });
  }

  /** Brings the store and the host to agree after a daemon's end: finds VMs again, finishes deletions, names what was lost. */
  async recover(): Promise<void> {
    const before = new Map(this.#options.store.list().map((record) => [record.id, record]));
    // At once: one whose VMM does not answer is not to keep the others waiting.
    await Promise.all(
      this.#options.store.list().map((record) =>
        recoverVm(record, {
          ...this.#options,
          sources: this.#sources,
          endVmm: (lost) => this.#steps.run({ kind: "end_vmm" }, { record: lost, options: {} }),
          open: (found) => void this.#open(found),
          note: (found, kind, data) => this.#note(found, kind, data),
          remove: (gone) => this.delete(gone.id),
        }).catch((error: unknown) => {
          this.#options.log("a VM could not be recovered", { vm: record.name, error: toFirebreakError(error).message });
        }),
      ),
    );
    for (const record of this.#options.store.list()) {
      this.#lifetimes.watch(record);
      if (record.state === "crashed" || record.state === "stopped")
        this.#lifetimes.afterEnd(record.id, {
          isFailure: record.state === "crashed",
          ranMs: ranFor(before.get(record.id), Date.now()),
        });
    }
  }

  /** Starts no VM any more by itself, and ends none: the next daemon does. */
  callOffTimers(): void {
    this.#lifetimes.close();
  }

  /** Lets go of all VMs; they go on without this daemon. */
  close(): void {
    this.#idle.close();
    this.#lifetimes.close();
    for (const live of this.#live.values()) live.close();
    this.#live.clear();
  }

  async #reach(
    record: VmRecord,
    target: VmTarget,
    options: WorkOptions,
    known: Pick<StepContext, "image" | "kernel"> = {},
    /** Asked last of all before anything is done. */
    isStillWanted: () => boolean = () => true,
  ): Promise<void> {
    const { paths, store } = this.#options;
    const facts = await this.#facts(record);
    await mkdir(vmDir(record, paths), { recursive: true });
    const context: StepContext = { record, options, ...known };
    // Between this and the first step, which is a note of it, nobody else gets to run.
    if (!isStillWanted()) return;
    try {
      for (const step of planVm(target, facts)) {
        if (target.state === "running") throwIfAborted(options.signal);
        context.record = store.get(record.id) ?? record;
        await this.#steps.run(step, context);
      }
    } finally {
      context.endTurn?.();
    }
    const { idleTimeoutMs } = record;
    if (target.state === "running" && idleTimeoutMs !== undefined) this.#idle.watch(record.id, idleTimeoutMs);
    else if (target.state !== "running") this.#idle.forget(record.id);
  }

  async #facts(record: VmRecord): Promise<VmFacts> {
    const { paths, driver } = this.#options;
    return {
      state: record.state,
      hasDrive: existsSync(overlayPath(record, paths)),
      isVmmAlive: record.vmm !== undefined && (await driver.isAlive(record.vmm)),
      startFrom: record.startFrom,
      hasAttached: this.#options.attached.has(record),
      ...(this.#options.workspaces?.isAutomatic(record.id)
        ? { workspace: record.ephemeral ? ("best_effort" as const) : ("required" as const) }
        : {}),
    };
  }

  /** The steps from what a VM is to what it is to be, without doing any. */
  async plan(nameOrId: string, target: VmTarget): Promise<VmPlan> {
    const record = this.#find(nameOrId);
    return { vm: this.#toVm(record), steps: planVm(target, await this.#facts(record)) };
  }

  async #afterFailedStart(id: string, thrown: unknown): Promise<void> {
    const record = this.#options.store.get(id);
    if (record === undefined) return;
    const reason = toFirebreakError(thrown).message;
    await this.#steps.run({ kind: "end_vmm" }, { record, options: {} });
    // What a VM was suspended to is still there, and it may be brought back another time.
    const state = record.startFrom.from === "suspension" ? "suspended" : "crashed";
    await discardStaleSuspension(record, this.#sources);
    this.#options.store.update(id, { state, reason });
    this.#note(record, "start_failed", { reason });
  }

  /** Attaches to a VMM that runs and watches it from now on. */
  #open(record: VmRecord): LiveVm {
    if (record.vmm === undefined) throw new FirebreakError("INTERNAL", `the VM '${record.name}' has no VMM`);
    const live = new LiveVm({
      driver: this.#options.driver,
      vmm: record.vmm,
      consoleLogPath: path.join(vmDir(record, this.#options.paths), "console.log"),
      attachDeadlineMs: ATTACH_DEADLINE_MS,
    });
    this.#live.set(record.id, live);
    this.#options.network?.open(record, this.#linkOf(record, live));
    if (record.idleTimeoutMs !== undefined) this.#idle.watch(record.id, record.idleTimeoutMs);
    void this.#watch(record, live);
    return live;
  }

  #linkOf({ id }: VmRecord, live: LiveVm): VmLink {
    return {
      client: live.client,
      signal: live.signal,
      openEgress: (signal) => this.#options.driver.openEgress(live.vmm, signal),
      onUse: () => this.touch(id),
    };
  }

  #close(record: VmRecord): void {
    this.#live.get(record.id)?.close();
    this.#live.delete(record.id);
  }

  async #watch(record: VmRecord, live: LiveVm): Promise<void> {
    await this.#options.driver.waitForExit(live.vmm, live.signal);
    if (!live.signal.aborted) await this.#afterExit(record, live);
  }

  /** Notes that a running VM's VMM has ended, once, whoever hears of it first. */
  async #afterExit(record: VmRecord, live: LiveVm): Promise<void> {
    await this.#lock(record.id).run(async () => {
      const current = this.#options.store.get(record.id);
      if (live.signal.aborted || (current?.state !== "running" && current?.state !== "paused")) return;
      const ending = await this.#options.driver.describeExit(live.vmm);
      const reason = ending.isGuestShutdown
        ? undefined
        : await consoleReason(
            live.hasPanicked ? "the guest kernel panicked" : ending.message,
            path.join(vmDir(record, this.#options.paths), "console.log"),
            live,
          );
      await this.#steps.run({ kind: "end_vmm" }, { record: current, options: {} });
      const state = ending.isGuestShutdown ? "stopped" : "crashed";
      this.#options.store.update(record.id, { state, reason });
      this.#note(record, state, { reason: reason ?? "the guest powered off" });
      const ranMs = ranFor(current, Date.now());
      this.#lifetimes.afterEnd(record.id, { isFailure: state === "crashed", ranMs });
    });
  }

  /** Refuses a VM that would not fit into the host's memory. */
  admit(memoryMib: number): void {
    this.#admission.check(memoryMib);
  }

  #note(record: VmRecord, kind: string, data: Record<string, unknown>): void {
    if (this.#options.store.get(record.id) !== undefined) this.#options.store.addEvent(record.id, kind, data);
    this.#options.log(`vm ${kind}`, { vm: record.name, ...data });
  }

  #find(nameOrId: string): VmRecord {
    const record = this.#options.store.find(nameOrId);
    if (record !== undefined) return record;
    throw new FirebreakError("VM_NOT_FOUND", `no VM is named '${nameOrId}'`, { hint: "List them: firebreak vm list" });
  }

  #lock(id: string): Mutex {
    const mutex = this.#locks.get(id) ?? new Mutex();
    this.#locks.set(id, mutex);
    return mutex;
  }
}

/** How long a VM that counts as running has been running; when it ended is not known better. */
function ranFor(record: VmRecord | undefined, nowMs: number): number {
  const isRunning = record?.state === "running" || record?.state === "paused";
  return isRunning && record.startedAt !== undefined ? nowMs - Date.parse(record.startedAt) : 0;
}

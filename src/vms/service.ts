import type { VmEvent } from "../contract/event.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { Vm, VmCreateParsed, VmPlan, VmStats, VmUpdate } from "../contract/vm.ts";
import type { FirebreakError } from "../errors/firebreak-error.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { Saved } from "../snapshots/saved-folder.ts";
import { Access } from "./access.ts";
import { Admission, type Reservation } from "./admission.ts";
import { Creation, type ForkOf } from "./creation.ts";
import { Ending } from "./ending.ts";
import { ExclusiveWork } from "./exclusive.ts";
import { Exits } from "./exits.ts";
import { changesOf } from "./from-request.ts";
import { FullDisks } from "./full-disks.ts";
import { IdleWatch } from "./idle.ts";
import { Lifetimes } from "./lifetimes.ts";
import type { LiveVm } from "./live-vm.ts";
import { LiveVms } from "./live-vms.ts";
import { Locks } from "./locks.ts";
import { consoleLogPath } from "./machine.ts";
import type { VmParts } from "./parts.ts";
import type { VmTarget } from "./plan.ts";
import { PlanRunner } from "./plan-runner.ts";
import type { VmNetwork, WorkOptions } from "./ports.ts";
import { recoverVms } from "./recovery.ts";
import { Roster } from "./roster.ts";
import { RunningPolicies } from "./running-policies.ts";
import type { VmServiceOptions } from "./service-options.ts";
import { Sources } from "./sources.ts";
import { Starting, type StartOptions } from "./starting.ts";
import { readVmStats } from "./stats.ts";
import { VmSteps } from "./steps.ts";
import { Suspension } from "./suspension.ts";
import type { EventFilter, VmRecord } from "./vm-store.ts";
import { type AwaitedState, type WaitOptions, waitForVm } from "./wait.ts";

/** The life of all VMs of one daemon: what may be asked of them. Its parts, which do it, are made here. */
export class VmService {
  readonly #parts: VmParts;
  readonly #access: Access;
  readonly #creation: Creation;
  readonly #ending: Ending;
  readonly #exclusive: ExclusiveWork;
  readonly #exits: Exits;
  readonly #fullDisks: FullDisks;
  readonly #policies: RunningPolicies;
  readonly #starting: Starting;
  readonly #suspension: Suspension;

  constructor(options: VmServiceOptions) {
    const roster = new Roster(options);
    const locks = new Locks();
    const sources = new Sources(options);
    // What ends or is idle by itself is seen to by parts that are made further down.
    const idle = new IdleWatch((id) => void this.#suspension.suspendIdle(id));
    const lifetimes = new Lifetimes({
      store: options.store,
      log: options.log,
      restart: (id) => this.#starting.restart(id),
      stop: async (id, graceMs) => void (await this.stop(id, graceMs)),
      setAside: (id) => this.#suspension.setAside(id),
      delete: (id) => this.delete(id),
    });
    const liveVms = new LiveVms({
      ...options,
      idle,
      onExit: (record, live) => this.#exits.note(record, live),
      onDiskFull: (id, live) => this.#fullDisks.note(id, live),
    });
    const admission = new Admission({ ...options.memory, holders: () => liveVms.holders() });
    const steps = new VmSteps({
      ...options,
      sources,
      open: (record) => liveVms.open(record),
      close: (record) => liveVms.close(record),
      live: (record) => liveVms.of(record.id),
    });
    const runner = new PlanRunner({ ...options, idle, steps, roster });
    const parts = { ...options, admission, roster, locks, liveVms, idle, lifetimes, sources, steps, runner };
    this.#parts = parts;
    this.#exits = new Exits(parts);
    this.#policies = new RunningPolicies(parts);
    const fullDisks = new FullDisks({ ...parts, resume: (id) => this.#suspension.resume(id) });
    this.#fullDisks = fullDisks;
    const starting = new Starting({ ...parts, fullDisks });
    const exclusive = new ExclusiveWork(parts);
    const ending = new Ending({ ...parts, starting, exclusive });
    this.#starting = starting;
    this.#exclusive = exclusive;
    this.#ending = ending;
    this.#access = new Access({ ...parts, starting });
    this.#creation = new Creation({ ...parts, starting, ending });
    this.#suspension = new Suspension({ ...parts, starting, ending, exclusive });
  }

  list(): Vm[] {
    return this.#parts.store.list().map((record) => this.#parts.roster.view(record));
  }

  get(nameOrId: string): Vm {
    return this.#parts.roster.viewOf(nameOrId);
  }

  /** The history of one VM, or of all; `vm` may be one that has been deleted, by its id. */
  events({ vm, ...filter }: Omit<EventFilter, "vmId"> & { vm?: string | undefined }): VmEvent[] {
    const { store } = this.#parts;
    if (vm === undefined) return store.events(filter);
    const vmId = store.find(vm)?.id ?? vm;
    return store.events({ ...filter, vmId });
  }

  onEvent(listener: (event: VmEvent) => void): () => void {
    return this.#parts.store.onEvent(listener);
  }

  /** See `waitForVm`. */
  async wait(nameOrId: string, states: readonly AwaitedState[], options: WaitOptions) {
    const { store, roster } = this.#parts;
    return waitForVm(store, roster.find(nameOrId).id, states, options, (record) => roster.view(record));
  }

  async stats(nameOrId: string): Promise<VmStats> {
    const record = this.#parts.roster.find(nameOrId);
    return readVmStats(record, this.#parts.liveVms.of(record.id), this.#parts);
  }

  /** What its network is made of. */
  networkOf(nameOrId: string): VmNetwork {
    return this.#parts.roster.find(nameOrId);
  }

  consoleLogPath(nameOrId: string): string {
    return consoleLogPath(this.#parts.roster.find(nameOrId), this.#parts.paths);
  }

  /** Changes what may be changed of a VM whatever its state. Throws VM_ALREADY_EXISTS when its new name is taken. */
  update(nameOrId: string, request: VmUpdate): Vm {
    const { store, roster, idle, lifetimes } = this.#parts;
    const record = roster.find(nameOrId);
    if (request.name !== undefined && request.name !== record.name) this.requireFreeName(request.name);
    const updated = store.note(record.id, changesOf(record, request), "updated", request);
    const { idleTimeoutMs } = updated;
    if (idleTimeoutMs === undefined || updated.state !== "running") idle.forget(record.id);
    else if (request.idleTimeoutMs !== undefined) idle.watch(record.id, idleTimeoutMs);
    lifetimes.watch(updated);
    return roster.view(updated);
  }

  /**
   * Gives a VM another policy, as it runs. Throws POLICY_INVALID, VM_STATE_CONFLICT for one with a network card that runs, which comes and goes
   * with a start, NETWORK_SETUP_FAILED; it has its old policy then.
   */
  setPolicy(nameOrId: string, policy: EgressPolicy, secrets?: SecretGrant[]): Promise<Vm> {
    return this.#policies.set(nameOrId, policy, secrets);
  }

  /** A secret has changed: what running VMs have of it in their environment changes, too. */
  secretChanged(secret: string): Promise<void> {
    return this.#policies.secretChanged(secret);
  }

  /** What guests are told of their network has changed. Those that do not run are told when they do. */
  networkChanged(ids: readonly string[]): Promise<void> {
    return this.#policies.networkChanged(ids);
  }

  /** The live side of a running VM. Throws VM_STATE_CONFLICT when it does not run. */
  live(nameOrId: string): LiveVm {
    return this.#access.live(nameOrId);
  }

  /** A VM that `use` would not refuse right away. Throws VM_STATE_CONFLICT. */
  requireUsable(nameOrId: string): Vm {
    return this.#access.requireUsable(nameOrId);
  }

  /**
   * Lends a VM's live side for as long as `work` takes: a VM that is starting is waited for, a suspended one is brought back.
   * Throws VM_STATE_CONFLICT when it neither runs nor is about to.
   */
  use<T>(nameOrId: string, options: WorkOptions, work: (live: LiveVm) => Promise<T>): Promise<T> {
    return this.#access.use(nameOrId, options, work);
  }

  /** As `use`, but it is none: a VM that does not run is not brought back, and one that is idle stays so. Throws VM_STATE_CONFLICT. */
  async peek<T>(nameOrId: string, work: (live: LiveVm) => Promise<T>): Promise<T> {
    return work(this.live(nameOrId));
  }

  /** Counts as a use that is over at once: traffic of a forward. */
  touch(id: string): void {
    this.#parts.idle.touch(id);
  }

  /** Why a request to a VM's guest broke: the VM's end when it has ended, the channel otherwise. */
  explainLoss(nameOrId: string): Promise<FirebreakError> {
    return this.#exits.explainLoss(nameOrId);
  }

  /** Throws VM_ALREADY_EXISTS before anything that takes time is begun. */
  requireFreeName(name: string): void {
    this.#parts.roster.requireFreeName(name);
  }

  /**
   * Runs `work` while memory is kept for it: for the start of `vm`, of one that is about to be made, or of a copy. Throws VM_MEMORY_EXHAUSTED
   * when it does not fit, unless the VM has it already.
   */
  withMemory<T>(memoryMib: number, work: (reservation: Reservation) => Promise<T>, vm?: VmRecord): Promise<T> {
    return this.#parts.admission.withMemory(memoryMib, work, vm);
  }

  /** A VM that runs; there is none when this throws. */
  create(request: VmCreateParsed, options: WorkOptions & { ephemeral?: boolean } = {}): Promise<Vm> {
    return this.#creation.create(request, options);
  }

  /** A new VM that goes on where a snapshot stands. `snapshot` is the one that it will be said to come from. */
  createFrom(
    manifest: Manifest,
    request: ForkOf & { snapshot: string | undefined },
    options: WorkOptions = {},
  ): Promise<Vm> {
    return this.#creation.createFrom(manifest, request, options);
  }

  /** The VM that a snapshot was taken of, as it was then; made again when it has been deleted. What it is now is lost. */
  restoreTo(saved: Saved, options: WorkOptions = {}): Promise<Vm> {
    return this.#creation.restoreTo(saved, options);
  }

  start(nameOrId: string, options: StartOptions = {}): Promise<Vm> {
    return this.#starting.start(nameOrId, options);
  }

  /** Stops a running VM's virtual CPUs where they are. Throws VM_STATE_CONFLICT when it does not run. */
  pause(nameOrId: string): Promise<Vm> {
    return this.#suspension.pause(nameOrId);
  }

  resume(nameOrId: string): Promise<Vm> {
    return this.#suspension.resume(nameOrId);
  }

  /** Saves a VM and ends its VMM, until it is used again. */
  suspend(nameOrId: string, options: WorkOptions & { isStillWanted?: () => boolean } = {}): Promise<Vm> {
    return this.#suspension.suspend(nameOrId, options);
  }

  /** Runs `work` while nothing else changes the VM. */
  exclusively<T>(nameOrId: string, work: (record: VmRecord, live: LiveVm | undefined) => Promise<T>): Promise<T> {
    return this.#exclusive.run(nameOrId, work);
  }

  /** `staysWanted`: it is not the VM that is to end, but the daemon. One whose restart policy says `always` is started again by the next one. */
  stop(nameOrId: string, graceMs: number, options: WorkOptions & { staysWanted?: boolean } = {}): Promise<Vm> {
    return this.#ending.stop(nameOrId, graceMs, options);
  }

  delete(nameOrId: string, options: WorkOptions = {}): Promise<void> {
    return this.#ending.delete(nameOrId, options);
  }

  /** The steps from what a VM is to what it is to be, without doing any. */
  plan(nameOrId: string, target: VmTarget): Promise<VmPlan> {
    return this.#parts.runner.plan(nameOrId, target);
  }

  /** Brings the store and the host to agree after a daemon's end: finds VMs again, finishes deletions, names what was lost. */
  recover(): Promise<void> {
    return recoverVms({ ...this.#parts, remove: (gone) => this.delete(gone.id) });
  }

  /** Starts no VM any more by itself, and ends none: the next daemon does. */
  callOffTimers(): void {
    this.#parts.lifetimes.close();
  }

  /** Lets go of all VMs; they go on without this daemon. */
  close(): void {
    this.#parts.idle.close();
    this.#fullDisks.close();
    this.#parts.lifetimes.close();
    this.#parts.liveVms.closeAll();
  }
}

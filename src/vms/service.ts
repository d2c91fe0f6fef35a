import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Vm, VmCreateParsed } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import { LiveVm } from "./live-vm.ts";
import { Mutex } from "./mutex.ts";
import { makeName } from "./names.ts";
import { planVm, type VmFacts, type VmTarget } from "./plan.ts";
import type { BootSource, WorkOptions } from "./ports.ts";
import { consoleReason, type StepContext, VmSteps } from "./steps.ts";
import type { VmEvent, VmRecord, VmStore } from "./vm-store.ts";
import { toVm } from "./vm-view.ts";

/** VMMs of a root daemon run as users from here on: above what Debian, systemd and container runtimes hand out. */
export const FIRST_VM_UID = 961_000_000;
const ATTACH_DEADLINE_MS = 10_000;

export interface VmServiceOptions {
  paths: FirebreakPaths;
  store: VmStore;
  driver: VmmDriver;
  source: BootSource;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The life of all VMs of one daemon. */
export class VmService {
  readonly #options: VmServiceOptions;
  readonly #live = new Map<string, LiveVm>();
  readonly #locks = new Map<string, Mutex>();
  /** Starts under way, so that a deletion does not wait for a boot. */
  readonly #starting = new Map<string, AbortController>();
  /** Graceful stops under way, so that a forced one or a deletion does not wait for their grace. */
  readonly #stopping = new Map<string, AbortController>();
  readonly #steps: VmSteps;

  constructor(options: VmServiceOptions) {
    this.#options = options;
    this.#steps = new VmSteps({
      ...options,
      vmDir: (record) => this.#vmDir(record),
      open: (record) => this.#open(record),
      close: (record) => this.#close(record),
      live: (record) => this.#live.get(record.id),
    });
  }

  list(): Vm[] {
    return this.#options.store.list().map(toVm);
  }

  get(nameOrId: string): Vm {
    return toVm(this.#find(nameOrId));
  }

  events(nameOrId: string): VmEvent[] {
    return this.#options.store.events(this.#find(nameOrId).id);
  }

  consoleLogPath(nameOrId: string): string {
    return path.join(this.#vmDir(this.#find(nameOrId)), "console.log");
  }

  /** The live side of a running VM. Throws VM_STATE_CONFLICT when it does not run. */
  live(nameOrId: string): LiveVm {
    const record = this.#find(nameOrId);
    const live = this.#live.get(record.id);
    if (live !== undefined && record.state === "running") return live;
    const hint = record.state === "starting" ? "Wait until it runs." : `Start it: firebreak vm start ${record.name}`;
    const why = record.reason === undefined ? "" : ` (${record.reason})`;
    throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${record.name}' is ${record.state}${why}`, {
      hint,
      details: { state: record.state },
    });
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
    if (current?.state === "running")
      return new FirebreakError("CHANNEL_LOST", `the channel to the VM '${current.name}' broke`, {
        hint: "Try again.",
      });
    const why = current?.reason === undefined ? "" : `: ${current.reason}`;
    const state =
      current === undefined || current.state === "deleting" ? "has been deleted" : `has ended (${current.state})${why}`;
    return new FirebreakError("VM_CRASHED", `the VM '${record?.name ?? nameOrId}' ${state}`);
  }

  async create(
    request: VmCreateParsed,
    options: WorkOptions & { ephemeral?: boolean; start?: boolean } = {},
  ): Promise<Vm> {
    const { store, driver, source } = this.#options;
    this.#admit(request.memoryMib);
    if (request.name !== undefined && store.find(request.name) !== undefined) throw nameTaken(request.name);
    const image = await source.resolveImage(request.image, options);
    const kernel = await source.resolveKernel(options);
    const id = randomBytes(6).toString("hex");
    const record: VmRecord = {
      id,
      name: request.name ?? makeName((name) => store.find(name) !== undefined),
      state: "created",
      image: image.name,
      imageDigest: image.digest,
      kernelId: kernel.kernelId,
      memoryMib: request.memoryMib,
      cpus: request.cpus,
      diskMib: request.diskMib,
      driver: driver.name,
      accelRequest: request.accel,
      uid: store.freeUid(FIRST_VM_UID),
      ephemeral: options.ephemeral ?? false,
      env: request.env,
      createdAt: new Date().toISOString(),
    };
    store.insert(record);
    store.addEvent(id, "created", { image: image.name, memoryMib: request.memoryMib, cpus: request.cpus });
    if (options.start === false) return toVm(record);
    try {
      return await this.start(id, options);
    } catch (error) {
      // A VM that never ran is of no use to whoever asked for it; its console's end is in the error.
      await this.delete(id).catch(() => {});
      throw error;
    }
  }

  async start(nameOrId: string, options: WorkOptions = {}): Promise<Vm> {
    const record = this.#find(nameOrId);
    const aborter = new AbortController();
    const signal = options.signal === undefined ? aborter.signal : AbortSignal.any([aborter.signal, options.signal]);
    return this.#lock(record.id).run(async () => {
      const current = this.#find(record.id);
      if (current.state === "deleting")
        throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${current.name}' is being deleted`);
      if (current.state !== "running") this.#admit(current.memoryMib);
      this.#starting.set(record.id, aborter);
      try {
        await this.#reach(current, { state: "running" }, { ...options, signal });
      } catch (error) {
        await this.#afterFailedStart(record.id, error);
        throw error;
      } finally {
        this.#starting.delete(record.id);
      }
      return toVm(this.#find(record.id));
    });
  }

  async stop(nameOrId: string, graceMs: number, options: WorkOptions = {}): Promise<Vm> {
    const record = this.#find(nameOrId);
    if (graceMs === 0) this.#stopping.get(record.id)?.abort();
    return this.#lock(record.id).run(async () => {
      const aborter = new AbortController();
      this.#stopping.set(record.id, aborter);
      try {
        await this.#reach(this.#find(record.id), { state: "stopped", graceMs }, { ...options, signal: aborter.signal });
      } finally {
        this.#stopping.delete(record.id);
      }
      return toVm(this.#find(record.id));
    });
  }

  async delete(nameOrId: string, options: WorkOptions = {}): Promise<void> {
    const record = this.#find(nameOrId);
    this.#starting.get(record.id)?.abort();
    this.#stopping.get(record.id)?.abort();
    await this.#lock(record.id).run(async () => {
      const current = this.#options.store.get(record.id);
      if (current !== undefined) await this.#reach(current, { state: "absent" }, options);
    });
    this.#locks.delete(record.id);
  }

  /** Brings the store and the host to agree after a daemon's end: finds VMs again, finishes deletions, names what was lost. */
  async recover(): Promise<void> {
    for (const record of this.#options.store.list()) {
      await this.#recoverOne(record).catch((error: unknown) => {
        this.#options.log("a VM could not be recovered", { vm: record.name, error: toFirebreakError(error).message });
      });
    }
  }

  async #recoverOne(record: VmRecord): Promise<void> {
    const { driver, store } = this.#options;
    // Nobody is left who could see an ephemeral VM's command end.
    if (record.state === "deleting" || record.ephemeral) return this.delete(record.id);
    const isAlive = record.vmm !== undefined && (await driver.isAlive(record.vmm));
    if (isAlive && record.state === "running") {
      this.#open(record);
      this.#note(record, "adopted", {});
      return;
    }
    if (record.state === "created" || record.state === "stopped" || record.state === "crashed") return;
    await this.#steps.run({ kind: "end_vmm" }, { record, options: {} });
    const state = record.state === "stopping" ? "stopped" : "crashed";
    const reason =
      record.state === "running" ? "its VMM ended while no daemon ran" : "the daemon ended while it was starting";
    store.update(record.id, { state, reason: state === "stopped" ? undefined : reason });
    this.#note(record, state, { reason });
  }

  /** Lets go of all VMs; they go on without this daemon. */
  close(): void {
    for (const live of this.#live.values()) live.close();
    this.#live.clear();
  }

  async #reach(record: VmRecord, target: VmTarget, options: WorkOptions): Promise<void> {
    const facts: VmFacts = {
      state: record.state,
      hasDrive: existsSync(path.join(this.#vmDir(record), "overlay.ext4")),
      isVmmAlive: record.vmm !== undefined && (await this.#options.driver.isAlive(record.vmm)),
    };
    await mkdir(this.#vmDir(record), { recursive: true });
    for (const step of planVm(target, facts)) {
      if (target.state === "running") throwIfAborted(options.signal);
      const context: StepContext = { record: this.#options.store.get(record.id) ?? record, options };
      await this.#steps.run(step, context);
    }
  }

  async #afterFailedStart(id: string, thrown: unknown): Promise<void> {
    const record = this.#options.store.get(id);
    if (record === undefined) return;
    const reason = toFirebreakError(thrown).message;
    await this.#steps.run({ kind: "end_vmm" }, { record, options: {} });
    this.#options.store.update(id, { state: "crashed", reason });
    this.#note(record, "start_failed", { reason });
  }

  /** Attaches to a VMM that runs and watches it from now on. */
  #open(record: VmRecord): LiveVm {
    if (record.vmm === undefined) throw new FirebreakError("INTERNAL", `the VM '${record.name}' has no VMM`);
    const live = new LiveVm({
      driver: this.#options.driver,
      vmm: record.vmm,
      consoleLogPath: path.join(this.#vmDir(record), "console.log"),
      attachDeadlineMs: ATTACH_DEADLINE_MS,
    });
    this.#live.set(record.id, live);
    void this.#watch(record, live);
    return live;
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
      if (live.signal.aborted || current?.state !== "running") return;
      const ending = await this.#options.driver.describeExit(live.vmm);
      const reason = ending.isGuestShutdown
        ? undefined
        : await consoleReason(
            live.hasPanicked ? "the guest kernel panicked" : ending.message,
            path.join(this.#vmDir(record), "console.log"),
            live,
          );
      await this.#steps.run({ kind: "end_vmm" }, { record: current, options: {} });
      const state = ending.isGuestShutdown ? "stopped" : "crashed";
      this.#options.store.update(record.id, { state, reason });
      this.#note(record, state, { reason: reason ?? "the guest powered off" });
    });
  }

  /** Refuses a VM that would not fit into the host's memory. */
  #admit(memoryMib: number): void {
    const totalMib = Math.floor(os.totalmem() / 1024 / 1024);
    const freeMib = Math.floor(os.freemem() / 1024 / 1024);
    if (memoryMib <= freeMib) return;
    throw new FirebreakError(
      "VM_MEMORY_EXHAUSTED",
      `the VM wants ${memoryMib} MiB; ${freeMib} MiB of the host's ${totalMib} MiB are available`,
      {
        hint: "Ask for less --memory, or stop another VM: firebreak vm list",
        details: { memoryMib, freeMib, totalMib },
      },
    );
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

  #vmDir(record: VmRecord): string {
    return path.join(this.#options.paths.vms, record.id);
  }

  /** Removes folders of VMs that the store does not know; returns their names. */
  async removeStrays(names: string[]): Promise<void> {
    for (const name of names) await rm(path.join(this.#options.paths.vms, name), { recursive: true, force: true });
  }
}

function nameTaken(name: string): FirebreakError {
  return new FirebreakError("VM_ALREADY_EXISTS", `a VM named '${name}' exists`, {
    hint: `Choose another name, or delete it: firebreak vm delete ${name}`,
  });
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "starting the VM was cancelled");
}

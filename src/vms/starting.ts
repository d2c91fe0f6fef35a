import type { Vm } from "../contract/vm.ts";
import type { WorkspaceSpec } from "../contract/workspace.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { asSpan } from "../telemetry/tracing.ts";
import { hasMemory, type Reservation } from "./admission.ts";
import type { FullDisks } from "./full-disks.ts";
import type { VmParts } from "./parts.ts";
import type { WorkOptions } from "./ports.ts";
import { discardStaleSuspension } from "./recovery.ts";
import type { StepContext } from "./step-context.ts";
import type { VmRecord } from "./vm-store.ts";

export type StartOptions = WorkOptions & {
  admissionWaitMs?: number | undefined;
  workspace?: WorkspaceSpec | undefined;
};
/** What whoever starts a VM has found out already. */
export type Known = Pick<StepContext, "image" | "kernel">;

interface StartingOptions
  extends Pick<VmParts, "store" | "admission" | "locks" | "lifetimes" | "sources" | "steps" | "runner" | "roster"> {
  fullDisks: FullDisks;
}

/** VMs that come to run, from whatever they are. */
export class Starting {
  readonly #options: StartingOptions;
  /** Starts under way, so that a deletion does not wait for a boot. */
  readonly #underWay = new Map<string, AbortController>();

  constructor(options: StartingOptions) {
    this.#options = options;
  }

  /** See `VmService.start`. */
  async start(
    nameOrId: string,
    options: StartOptions = {},
    known: Known = {},
    /** Memory that is kept for it already. */
    reserved?: Reservation,
  ): Promise<Vm> {
    const { store, admission, locks, lifetimes, roster } = this.#options;
    const found = roster.find(nameOrId);
    const { id } = found;
    const mayWait = options.admissionWaitMs !== undefined && !hasMemory(found);
    // Not while it is locked: a deletion need not wait for the host's memory.
    let reservation = reserved ?? (mayWait ? await admission.admit(found.memoryMib, options, id) : undefined);
    try {
      lifetimes.callOffRestart(id);
      return await locks.run(id, async () => {
        const current = roster.find(id);
        if (current.state === "deleting")
          throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${current.name}' is being deleted`);
        if (!hasMemory(current)) reservation ??= admission.claim(current.memoryMib, id);
        const isAsked = current.isWanted && current.restartCount === 0;
        const record = isAsked ? current : store.update(id, { isWanted: true, restartCount: 0 });
        return this.startLocked(record, options, known);
      });
    } finally {
      reservation?.release();
    }
  }

  /** The same for who has the VM's lock. */
  async startLocked(record: VmRecord, options: WorkOptions, known: Known = {}): Promise<Vm> {
    await this.#options.fullDisks.requireRoom(record);
    const aborter = new AbortController();
    // Bringing a VM back cannot be called off: its drive goes on with it, and what it was saved to is then of no use any more.
    const isCancelable = options.signal !== undefined && record.startFrom.from !== "suspension";
    const signal = isCancelable ? AbortSignal.any([aborter.signal, options.signal as AbortSignal]) : aborter.signal;
    this.#underWay.set(record.id, aborter);
    try {
      const { from } = record.startFrom;
      await asSpan("firebreak.vm.start", { "firebreak.vm.id": record.id, "firebreak.vm.start.from": from }, () =>
        this.#options.runner.reach(record, { state: "running" }, { ...options, signal }, known),
      );
    } catch (error) {
      await this.#afterFailure(record, error);
      throw error;
    } finally {
      this.#underWay.delete(record.id);
    }
    return this.#options.roster.viewOf(record.id);
  }

  /** Starts a VM again that ended by itself, unless somebody has seen to it meanwhile. */
  async restart(id: string): Promise<void> {
    const { store, admission, locks } = this.#options;
    await locks.run(id, async () => {
      const record = store.get(id);
      if (record === undefined || !record.isWanted) return;
      if (record.state !== "stopped" && record.state !== "crashed") return;
      await admission.withMemory(record.memoryMib, () => this.startLocked(record, {}), record);
    });
  }

  /** Calls a start off that is under way. */
  callOff(id: string): void {
    this.#underWay.get(id)?.abort();
  }

  async #afterFailure({ id, state: before }: VmRecord, thrown: unknown): Promise<void> {
    const { store, sources, steps, roster } = this.#options;
    const record = store.get(id);
    if (record === undefined) return;
    const reason = toFirebreakError(thrown).message;
    // What keeps a VM from being started at all, such as the configuration, crashes nothing.
    const isAsBefore = before === "stopped" && record.vmm === undefined;
    await steps.run({ kind: "end_vmm" }, { record, options: {} });
    // What a VM was suspended to is still there, and it may be brought back another time.
    const state = record.startFrom.from === "suspension" ? "suspended" : isAsBefore ? "stopped" : "crashed";
    await discardStaleSuspension(record, sources);
    store.keep(id, { state, reason });
    roster.note(record, "start_failed", { reason });
  }
}

import { FirebreakError } from "../errors/firebreak-error.ts";
import { consoleReason } from "./console-reason.ts";
import type { LiveVm } from "./live-vm.ts";
import { consoleLogPath } from "./machine.ts";
import type { VmParts } from "./parts.ts";
import type { VmRecord } from "./vm-store.ts";

type ExitsOptions = Pick<
  VmParts,
  "paths" | "store" | "drivers" | "locks" | "liveVms" | "lifetimes" | "steps" | "roster"
>;

/** VMs that end without having been asked to: what becomes of them, and what those hear who were talking to one. */
export class Exits {
  readonly #options: ExitsOptions;

  constructor(options: ExitsOptions) {
    this.#options = options;
  }

  /** Notes that a running VM's VMM has ended, once, whoever hears of it first. */
  async note(record: VmRecord, live: LiveVm): Promise<void> {
    const { paths, store, drivers, locks, lifetimes, steps, roster } = this.#options;
    await locks.run(record.id, async () => {
      const current = store.get(record.id);
      if (live.signal.aborted || (current?.state !== "running" && current?.state !== "paused")) return;
      const ending = await drivers.of(live.vmm).describeExit(live.vmm);
      const reason = ending.isGuestShutdown
        ? undefined
        : await consoleReason(
            live.hasPanicked ? "the guest kernel panicked" : ending.message,
            consoleLogPath(record, paths),
            live,
          );
      await steps.run({ kind: "end_vmm" }, { record: current, options: {} });
      const state = ending.isGuestShutdown ? "stopped" : "crashed";
      store.keep(record.id, { state, reason });
      roster.note(record, state, { reason: reason ?? "the guest powered off" });
      const ranMs = ranFor(current, Date.now());
      lifetimes.afterEnd(record.id, { isFailure: state === "crashed", ranMs });
    });
  }

  /** See `VmService.explainLoss`. */
  async explainLoss(nameOrId: string): Promise<FirebreakError> {
    const { store, drivers, locks, liveVms } = this.#options;
    const record = store.find(nameOrId);
    const live = record === undefined ? undefined : liveVms.of(record.id);
    // The end of a VMM is heard a moment after its channel's.
    if (record !== undefined && live !== undefined) {
      const driver = drivers.of(live.vmm);
      await driver.waitForExit(live.vmm, AbortSignal.any([live.signal, AbortSignal.timeout(500)]));
      if (!(await driver.isAlive(live.vmm))) await this.note(record, live);
    }
    const current = record === undefined ? undefined : await locks.run(record.id, async () => store.get(record.id));
    if (current !== undefined && (current.state === "running" || current.state.startsWith("suspend"))) {
      const isOther = live !== undefined && liveVms.of(current.id) !== live;
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
}

/** How long a VM that counts as running has been running; when it ended is not known better. */
export function ranFor(record: VmRecord | undefined, nowMs: number): number {
  const isRunning = record?.state === "running" || record?.state === "paused";
  return isRunning && record.startedAt !== undefined ? nowMs - Date.parse(record.startedAt) : 0;
}

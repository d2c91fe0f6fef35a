import type { Vm } from "../contract/vm.ts";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Ending } from "./ending.ts";
import type { ExclusiveWork } from "./exclusive.ts";
import { requireSavable } from "./network-values.ts";
import type { VmParts } from "./parts.ts";
import type { WorkOptions } from "./ports.ts";
import type { Starting } from "./starting.ts";
import { notRunning } from "./vm-errors.ts";

interface SuspensionOptions
  extends Pick<
    VmParts,
    "store" | "drivers" | "admission" | "network" | "liveVms" | "idle" | "steps" | "runner" | "roster" | "log"
  > {
  starting: Starting;
  ending: Ending;
  exclusive: ExclusiveWork;
}

/** VMs that stand still, in memory or saved, for a while or until they are used again; idle ones by themselves. */
export class Suspension {
  readonly #options: SuspensionOptions;

  constructor(options: SuspensionOptions) {
    this.#options = options;
  }

  /** See `VmService.pause`. */
  async pause(nameOrId: string): Promise<Vm> {
    const { exclusive, runner, roster } = this.#options;
    return exclusive.run(nameOrId, async (record) => {
      if (record.state !== "running" && record.state !== "paused") throw notRunning(record);
      await runner.reach(record, { state: "paused" }, {});
      return roster.viewOf(record.id);
    });
  }

  async resume(nameOrId: string): Promise<Vm> {
    const { admission, starting, exclusive } = this.#options;
    return exclusive.run(nameOrId, async (record) => {
      if (record.state !== "running" && record.state !== "paused" && record.state !== "suspended")
        throw notRunning(record);
      return admission.withMemory(record.memoryMib, () => starting.startLocked(record, {}), record);
    });
  }

  /** See `VmService.suspend`. */
  async suspend(nameOrId: string, options: WorkOptions & { isStillWanted?: () => boolean } = {}): Promise<Vm> {
    const { network, exclusive, runner, roster } = this.#options;
    return exclusive.run(nameOrId, async (record) => {
      if (record.state !== "running" && record.state !== "suspended") throw notRunning(record);
      if (record.state === "running") requireSavable(network, record);
      try {
        await runner.reach(record, { state: "suspended" }, options, {}, options.isStillWanted);
      } catch (error) {
        await this.#afterFailure(record.id, error);
        throw error;
      }
      return roster.viewOf(record.id);
    });
  }

  /** Suspends a VM whose time is over, once what is done with it is done; of one that has crashed, what starts it again is called off. */
  async setAside(id: string): Promise<void> {
    const { ending, exclusive } = this.#options;
    const { state } = await exclusive.run(id, async (record) => record);
    if (state === "paused") await this.resume(id);
    if (state === "running" || state === "paused") await this.suspend(id);
    else if (state === "crashed") await ending.stop(id, 0);
  }

  /** Suspends a VM that nobody has used for its idle timeout, unless a command runs in it or somebody begins to use it meanwhile. Never throws. */
  async suspendIdle(id: string): Promise<void> {
    const { idle, log } = this.#options;
    try {
      const useCount = idle.useCount(id);
      const isStillWanted = () => idle.useCount(id) === useCount;
      if (!(await this.#isBusy(id))) await this.suspend(id, { isStillWanted });
      idle.postpone(id);
    } catch (error) {
      log("an idle VM could not be suspended", { id, error: toFirebreakError(error).message });
      idle.postpone(id);
    }
  }

  /** A command that still runs is a use, also when nobody is attached to it. */
  async #isBusy(id: string): Promise<boolean> {
    const live = this.#options.liveVms.of(id);
    if (live === undefined || this.#options.store.get(id)?.state !== "running") return true;
    return (await live.client.execList()).some((exec) => exec.state === "running");
  }

  /** A VM whose save failed goes on if its VMM still does. */
  async #afterFailure(id: string, thrown: unknown): Promise<void> {
    const { store, drivers, steps } = this.#options;
    const record = store.get(id);
    if (record?.state !== "suspending") return;
    const { vmm } = record;
    const isAlive = vmm !== undefined && (await drivers.of(vmm).isAlive(vmm));
    const reason = toFirebreakError(thrown).message;
    // One that has been saved to the end stands still.
    if (isAlive) await drivers.of(vmm).settle(vmm, "running");
    else await steps.run({ kind: "end_vmm" }, { record, options: {} });
    const changes = isAlive ? { state: "running" as const } : { state: "crashed" as const, reason };
    store.keep(id, changes, { kind: "suspend_failed", data: { reason } });
  }
}

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { VmPlan } from "../contract/vm.ts";
import { throwIfAborted } from "../platform/abort.ts";
import type { IdleWatch } from "./idle.ts";
import { overlayPath, vmDir } from "./machine.ts";
import { planVm, type VmFacts, type VmTarget } from "./plan.ts";
import type { WorkOptions } from "./ports.ts";
import type { Roster } from "./roster.ts";
import type { VmServiceOptions } from "./service-options.ts";
import type { StepContext } from "./step-context.ts";
import type { VmSteps } from "./steps.ts";
import type { VmRecord } from "./vm-store.ts";

interface PlanRunnerOptions extends Pick<VmServiceOptions, "paths" | "store" | "drivers" | "attached" | "workspaces"> {
  idle: IdleWatch;
  steps: VmSteps;
  roster: Roster;
}

/** Brings a VM from what it is to what it is to be: looks, has the planner decide, does the steps. */
export class PlanRunner {
  readonly #options: PlanRunnerOptions;

  constructor(options: PlanRunnerOptions) {
    this.#options = options;
  }

  /** Throws what a step throws, and leaves the VM there. Only for who has the VM's lock. */
  async reach(
    record: VmRecord,
    target: VmTarget,
    options: WorkOptions,
    known: Pick<StepContext, "image" | "kernel"> = {},
    /** Asked last of all before anything is done. */
    isStillWanted: () => boolean = () => true,
  ): Promise<void> {
    const { paths, store, steps, idle } = this.#options;
    const facts = await this.#facts(record);
    await mkdir(vmDir(record, paths), { recursive: true });
    const context: StepContext = { record, options, ...known };
    // Between this and the first step, which is a note of it, nobody else gets to run.
    if (!isStillWanted()) return;
    try {
      for (const step of planVm(target, facts)) {
        if (target.state === "running") throwIfAborted(options.signal);
        context.record = store.get(record.id) ?? record;
        await steps.run(step, context);
      }
    } finally {
      context.endTurn?.();
    }
    const { idleTimeoutMs } = record;
    if (target.state === "running" && idleTimeoutMs !== undefined) idle.watch(record.id, idleTimeoutMs);
    else if (target.state !== "running") idle.forget(record.id);
  }

  /** See `VmService.plan`. */
  async plan(nameOrId: string, target: VmTarget): Promise<VmPlan> {
    const { roster } = this.#options;
    const record = roster.find(nameOrId);
    return { vm: roster.view(record), steps: planVm(target, await this.#facts(record)) };
  }

  async #facts(record: VmRecord): Promise<VmFacts> {
    const { paths, drivers, attached, workspaces } = this.#options;
    return {
      state: record.state,
      hasDrive: existsSync(overlayPath(record, paths)),
      isVmmAlive: record.vmm !== undefined && (await drivers.of(record.vmm).isAlive(record.vmm)),
      startFrom: record.startFrom,
      hasAttached: attached.has(record),
      hasMounts: record.mounts.length > 0,
      ...(workspaces?.isAutomatic(record.id)
        ? { workspace: record.ephemeral ? ("best_effort" as const) : ("required" as const) }
        : {}),
    };
  }
}

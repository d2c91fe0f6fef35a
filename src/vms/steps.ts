import { TASK_LABEL } from "../contract/task.ts";
import type { VmState } from "../contract/vm.ts";
import type { WorkspaceReport } from "../contract/workspace.ts";
import { GuestSteps } from "./guest-steps.ts";
import type { LiveVm } from "./live-vm.ts";
import type { VmStep } from "./plan.ts";
import { saveVm } from "./save.ts";
import { type StepContext, type VmStepsOptions, vmmOf } from "./step-context.ts";
import { VmFiles } from "./vm-files.ts";
import type { VmRecord } from "./vm-store.ts";
import { VmmSteps } from "./vmm-steps.ts";

/** How long a guest may write to its disk before it is suspended all the same. */
const SYNC_DEADLINE_MS = 10_000;

type Executors = { [K in VmStep["kind"]]: (context: StepContext, step: Extract<VmStep, { kind: K }>) => Promise<void> };

/** A task's VM ends while nobody watches it, and its task is asked about afterwards. */
const isOfTask = ({ labels }: Pick<VmRecord, "labels">): boolean => TASK_LABEL in labels;

/** Does what the planner decided. A step kind without an executor does not compile. */
export class VmSteps {
  readonly #options: VmStepsOptions;
  readonly #executors: Executors;

  constructor(options: VmStepsOptions) {
    this.#options = options;
    const vmm = new VmmSteps(options);
    const guest = new GuestSteps(options, vmm);
    const files = new VmFiles(options);
    this.#executors = {
      create_drive: (context) => vmm.createDrive(context),
      copy_drive: (context, step) => vmm.copyDrive(context, step.source),
      start_vmm: (context) => vmm.start(context),
      restore_vmm: (context, step) => vmm.restore(context, step.source),
      await_guest: (context) => guest.awaitAnswer(context),
      personalise: (context, step) => guest.personalise(context, step.identity),
      attach_drives: ({ record }) => options.attached.attachAll(record, options.live(record) as LiveVm), // await_guest comes before
      serve_mounts: (context) => guest.serveMounts(context),
      let_go_of_drives: ({ record }) => options.attached.letGo(record, options.live(record)),
      pause_vmm: ({ record }) => options.drivers.of(vmmOf(record)).pause(vmmOf(record)),
      resume_vmm: (context) => guest.resume(context),
      suspend_vmm: (context) => this.#suspendVmm(context),
      discard_suspension: ({ record }) => options.sources.discardSuspension(record),
      push_workspace: (context) => this.#pushWorkspace(context),
      pull_workspace: (context, step) => this.#pullWorkspace(context, step),
      stop_guest: (context, step) => guest.stop(context, step.graceMs),
      end_vmm: (context) => vmm.end(context),
      mark: (context, step) => this.#mark(context, step.state),
      remove_files: async ({ record }) => {
        await options.sources.discardSuspension(record);
        await files.remove(record);
      },
      forget: async ({ record }) => {
        await files.forget(record);
        await options.workspaces?.forget(record.id, record.ephemeral || isOfTask(record));
      },
    };
  }

  async run(step: VmStep, context: StepContext): Promise<void> {
    const execute = this.#executors[step.kind] as (context: StepContext, step: VmStep) => Promise<void>;
    await execute(context, step);
  }

  async #mark({ record, learnt }: StepContext, state: VmState): Promise<void> {
    const { store } = this.#options;
    // A VM that runs has left behind what it was brought up from; its next start is a boot of its own drive.
    const changes =
      state === "running" && record.state === "starting"
        ? { startedAt: new Date().toISOString(), startFrom: { from: "boot" } as const, origin: "boot" as const }
        : state === "stopped"
          ? { startFrom: { from: "boot" } as const }
          : state === "suspended"
            ? { startFrom: { from: "suspension" } as const }
            : {};
    const all = { state, reason: undefined, ...changes, ...learnt };
    // What frees space must go on when there is none for the note of it.
    const isFreeing = state === "deleting" || state === "stopping" || state === "stopped";
    if (isFreeing) store.keep(record.id, all, { kind: state, data: {} });
    else store.note(record.id, all, state, {});
  }

  async #suspendVmm({ record, options }: StepContext): Promise<void> {
    const { sources } = this.#options;
    options.onProgress?.({ step: "suspend", message: "saving the VM" });
    const live = this.#options.live(record) ?? this.#options.open(record);
    // Its memory holds what it has not written yet: with its disk in order, not all is lost if its memory is.
    await live.client.sync({ deadlineMs: SYNC_DEADLINE_MS }).catch((error: unknown) => {
      this.#options.log("a guest did not write its disk before it was suspended", {
        vm: record.name,
        error: String(error),
      });
    });
    const folder = sources.suspension(record);
    const staged = await folder.stage(record.id);
    try {
      const manifest = await saveVm(record, live, staged, {
        ...this.#options,
        afterwards: "end",
        id: record.id,
        devices: this.#options.attached.devicesOf(record),
      });
      await folder.commit(staged, manifest);
    } catch (error) {
      await folder.discard(staged);
      throw error;
    }
  }

  /** A conflict is told of and left alone: the VM starts all the same. */
  async #pushWorkspace({ record, options }: StepContext): Promise<void> {
    const live = this.#options.live(record) as LiveVm; // await_guest comes before in every plan
    const reports = await this.#options.workspaces?.push(record, live.client, options);
    for (const report of reports ?? []) this.#noteSync(record, report);
  }

  async #pullWorkspace(
    { record, options }: StepContext,
    { isRequired, isReachable }: Extract<VmStep, { kind: "pull_workspace" }>,
  ): Promise<void> {
    const live = isReachable ? (this.#options.live(record) ?? this.#options.open(record)) : undefined;
    const settings = { ...options, isRequired, isEphemeral: record.ephemeral };
    const reports = await this.#options.workspaces?.pull(record, live?.client, settings);
    for (const report of reports ?? []) this.#noteSync(record, report);
  }

  #noteSync(record: VmRecord, { direction, counts, conflicts, backup }: WorkspaceReport): void {
    const data = { ...counts, conflicts: conflicts.length, ...(backup === undefined ? {} : { backup: backup.id }) };
    const kind = direction === "push" ? "workspace_pushed" : "workspace_pulled";
    this.#options.store.keep(record.id, {}, { kind, data });
  }
}

import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { VmState } from "../contract/vm.ts";
import type { WorkspaceReport } from "../contract/workspace.ts";
import { FirebreakError, isHostDiskFull } from "../errors/firebreak-error.ts";
import type { PersonaliseValues } from "../guest/protocol.ts";
import { readBoundedLog } from "../platform/bounded-log.ts";
import { addConsoleWords } from "../platform/console-words.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { removeFolder } from "../platform/remove-folder.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { Saved } from "../snapshots/saved-folder.ts";
import type { Templates } from "../snapshots/templates.ts";
import type { AccelVerdict, VmmDriver } from "../vmm/driver.ts";
import type { AttachedDrives } from "./attached-drives.ts";
import type { LiveVm } from "./live-vm.ts";
import { consoleLogPath, machineOf, overlayPath, vmDir } from "./machine.ts";
import { networkValues } from "./network-values.ts";
import type { SavedSource, VmStep } from "./plan.ts";
import type {
  BootSource,
  ImageRef,
  KernelRef,
  MountHooks,
  NetworkHooks,
  WorkOptions,
  WorkspaceHooks,
} from "./ports.ts";
import { describeAgent, saveVm } from "./save.ts";
import type { Sources } from "./sources.ts";
import { Turns } from "./turns.ts";
import type { VmChanges, VmRecord, VmStore } from "./vm-store.ts";

/** A boot under TCG takes 2 s on a quiet machine; one that has not ended by then hangs. */
const BOOT_DEADLINE_MS = 30_000;
/** How long a resumed guest may take to set its clock before it goes on without. */
const CLOCK_DEADLINE_MS = 5_000;
/** How long a guest may write to its disk before it is suspended all the same. */
const SYNC_DEADLINE_MS = 10_000;
/** Booting under TCG can hang in the guest kernel's clock calibration: it is tried once more. */
const BOOT_ATTEMPTS = 2;
/** How many restored VMs a processor brings up at a time: that it has something to do when one waits for the disk. */
const RESTORES_PER_CPU = 2;
/** A VM is up 0.2 s after its restore has begun (docs/performance.md); one that takes this long is not waited for. */
const LONGEST_RESTORE_MS = 1_000;

/** What one way through a plan carries from step to step. */
export interface StepContext {
  /** As the store has it before each step. */
  record: VmRecord;
  options: WorkOptions;
  image?: ImageRef;
  kernel?: KernelRef;
  /** What the VM is brought up from: found once, so that drive and memory are of the same machine. */
  saved?: Saved;
  accelReason?: string | undefined;
  /** Lets the next VM be restored. */
  endTurn?: () => void;
  /** What has been learnt of the VM on the way: written with its next state, since each write is a wait for the disk. */
  learnt?: VmChanges;
}

export interface VmStepsOptions {
  paths: FirebreakPaths;
  store: VmStore;
  driver: VmmDriver;
  source: BootSource;
  sources: Sources;
  templates: Templates;
  disk: Disk;
  attached: AttachedDrives;
  log: (message: string, fields: Record<string, unknown>) => void;
  workspaces?: WorkspaceHooks;
  network?: NetworkHooks;
  mounts?: MountHooks;
  open: (record: VmRecord) => LiveVm;
  close: (record: VmRecord) => void;
  live: (record: VmRecord) => LiveVm | undefined;
}

type Executors = { [K in VmStep["kind"]]: (context: StepContext, step: Extract<VmStep, { kind: K }>) => Promise<void> };

/** Does what the planner decided. A step kind without an executor does not compile. */
export class VmSteps {
  readonly #options: VmStepsOptions;
  /** Files of deleted VMs that are being removed, by VM. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #executors: Executors;
  readonly #restores = new Turns(RESTORES_PER_CPU * os.availableParallelism(), LONGEST_RESTORE_MS);

  constructor(options: VmStepsOptions) {
    this.#options = options;
    this.#executors = {
      create_drive: (context) => this.#createDrive(context),
      copy_drive: (context, step) => this.#copyDrive(context, step.source),
      start_vmm: (context) => this.#startVmm(context),
      restore_vmm: (context, step) => this.#restoreVmm(context, step.source),
      await_guest: (context) => this.#awaitGuest(context),
      personalise: (context, step) => this.#personalise(context, step.identity),
      attach_drives: ({ record }) => options.attached.attachAll(record, options.live(record) as LiveVm), // await_guest comes before
      serve_mounts: (context) => this.#serveMounts(context),
      let_go_of_drives: ({ record }) => options.attached.letGo(record, options.live(record)),
      pause_vmm: ({ record }) => options.driver.pause(vmmOf(record)),
      resume_vmm: (context) => this.#resumeVmm(context),
      suspend_vmm: (context) => this.#suspendVmm(context),
      discard_suspension: ({ record }) => options.sources.discardSuspension(record),
      push_workspace: (context) => this.#pushWorkspace(context),
      pull_workspace: (context, step) => this.#pullWorkspace(context, step),
      stop_guest: (context, step) => this.#stopGuest(context, step.graceMs),
      end_vmm: (context) => this.#endVmm(context),
      mark: (context, step) => this.#mark(context, step.state),
      remove_files: async ({ record }) => {
        await options.sources.discardSuspension(record);
        await this.#removeFiles(record);
      },
      forget: async ({ record }) => {
        await this.#forget(record);
        await options.workspaces?.forget(record.id, record.ephemeral);
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

  /** On a full disk there may be room for that only when the VM's files have gone. */
  async #forget({ id }: VmRecord): Promise<void> {
    const { store } = this.#options;
    try {
      store.remove(id);
    } catch (error) {
      const leaving = this.#leaving.get(id);
      if (leaving === undefined || !isHostDiskFull(error)) throw error;
      await leaving;
      store.remove(id);
    }
  }

  /** Gone at once for everybody; giving the blocks back takes longer, and nobody has to wait for it. */
  async #removeFiles(record: VmRecord): Promise<void> {
    const { paths, log } = this.#options;
    const leaving = path.join(paths.trash, record.id);
    await removeFolder(leaving); // a deletion that was cut off between here and the end
    await rename(vmDir(record, paths), leaving).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    const removal = removeFolder(leaving)
      // The next daemon empties the folder.
      .catch((error: unknown) => log("a deleted VM's files are left", { vm: record.name, error: String(error) }))
      .finally(() => this.#leaving.delete(record.id));
    this.#leaving.set(record.id, removal);
  }

  async #createDrive({ record, options }: StepContext): Promise<void> {
    // An empty one in its place would pass for the VM.
    if (record.startedAt !== undefined)
      throw new FirebreakError("VM_STATE_CONFLICT", `the disk of the VM '${record.name}' is gone`, {
        hint: `Restore a snapshot of it, or delete it: firebreak vm delete ${record.name}`,
      });
    options.onProgress?.({ step: "drive", message: `formatting a drive of ${record.diskMib} MiB` });
    await this.#options.disk.createOverlay(overlayPath(record, this.#options.paths), record.diskMib);
  }

  /** The drive goes into its place as a whole: what a dead daemon leaves is the old one or the new one. */
  async #copyDrive(context: StepContext, source: SavedSource): Promise<void> {
    const target = overlayPath(context.record, this.#options.paths);
    const saved = await this.#findSaved(context, source);
    await this.#options.disk.copySparse(saved.overlayPath, `${target}.new`).catch(async (error: unknown) => {
      // Pruned, or removed by hand, since it was found.
      if (source.from !== "template" || existsSync(saved.overlayPath)) throw error;
      await this.#options.templates.drop(saved);
      delete context.saved;
      const made = await this.#findSaved(context, source);
      await this.#options.disk.copySparse(made.overlayPath, `${target}.new`);
    });
    await rename(`${target}.new`, target);
  }

  /** A template is found, or made, by what a boot would take; of a snapshot, neither kernel nor accelerator are ours to choose. */
  async #findSaved(context: StepContext, source: SavedSource): Promise<Saved> {
    const { sources, templates } = this.#options;
    const { record, options } = context;
    if (context.saved !== undefined) return context.saved;
    context.learnt = { ...context.learnt, origin: source.from };
    if (source.from !== "template") {
      context.accelReason = "as in what was saved";
      context.saved = await sources.find(record, source);
      return context.saved;
    }
    const { image, kernel } = await this.#resolve(context);
    const { accel, reason } = await this.#chooseAccel(context, kernel);
    const { memoryMib, cpus, diskMib } = record;
    context.accelReason = reason;
    context.saved = await templates.ensure({ image, kernel, memoryMib, cpus, diskMib, accel }, options);
    return context.saved;
  }

  async #resolve(context: StepContext): Promise<{ image: ImageRef; kernel: KernelRef }> {
    context.kernel ??= await this.#options.source.getKernel(context.record.kernelId);
    return { image: await this.#resolveImage(context), kernel: context.kernel };
  }

  async #resolveImage(context: StepContext): Promise<ImageRef> {
    context.image ??= await this.#options.source.resolveImage(context.record.imageDigest, context.options);
    return context.image;
  }

  async #chooseAccel({ record, options }: StepContext, kernel: KernelRef): Promise<AccelVerdict> {
    const verdict = await this.#options.driver.chooseAccel(record.accelRequest, kernel, options.signal);
    if (verdict.isFresh && verdict.accel === "tcg") {
      options.onProgress?.({ step: "accel", message: `using emulation (TCG): ${verdict.reason}` });
    }
    return verdict;
  }

  async #startVmm(context: StepContext): Promise<void> {
    const { record, options } = context;
    const { driver, store, paths } = this.#options;
    const { image, kernel } = await this.#resolve(context);
    const verdict = await this.#chooseAccel(context, kernel);
    options.onProgress?.({ step: "boot", message: "booting the VM" });
    const { kernelPath, initrdPath, kernelArgs } = kernel;
    const card = await this.#options.network?.plug(record);
    const machine = machineOf(record, paths, image.rootfsPath, verdict.accel, [], card);
    const vmm = await driver.start({ ...machine, kernelPath, initrdPath, kernelArgs }, options.signal);
    context.record = store.update(record.id, { vmm, accelReason: verdict.reason });
  }

  async #restoreVmm(context: StepContext, source: SavedSource): Promise<void> {
    const { driver, store, paths } = this.#options;
    const { record, options } = context;
    const image = await this.#resolveImage(context);
    const saved = await this.#findSaved(context, source);
    context.endTurn = await this.#restores.take(options.signal);
    options.onProgress?.({ step: "restore", message: "restoring the VM" });
    const { accel } = saved.manifest.machine;
    // Only what was suspended was saved with its drives.
    const attached = source.from === "suspension" ? this.#options.attached.devicesOf(record) : [];
    const card = await this.#options.network?.plug(record);
    const machine = machineOf(record, paths, image.rootfsPath, accel, attached, card);
    // From the moment that its guest may run, its drive is newer than what it was suspended to: that is never brought back again.
    if (source.from === "suspension") store.update(record.id, { startFrom: { from: "boot" } });
    const vmm = await driver.restore(machine, saved.machine, options.signal).catch(async (error: unknown) => {
      if (source.from === "suspension") store.update(record.id, { startFrom: source });
      const isCorrupt = error instanceof FirebreakError && error.code === "SNAPSHOT_CORRUPT";
      if (source.from !== "template" || !isCorrupt) throw error;
      return driver.restore(machine, await this.#remakeTemplate(context, source), options.signal);
    });
    context.record = store.update(record.id, { vmm, accelReason: accel === "kvm" ? undefined : context.accelReason });
  }

  /** A template that is not what it was (or was pruned this moment) is made anew, with the drive that belongs to it. */
  async #remakeTemplate(context: StepContext, source: SavedSource): Promise<Saved["machine"]> {
    this.#options.log("a template is corrupt and made anew", { vm: context.record.name });
    if (context.saved !== undefined) await this.#options.templates.drop(context.saved);
    delete context.saved;
    await this.#copyDrive(context, source);
    return (await this.#findSaved(context, source)).machine;
  }

  /** A restored guest is there or it is not: only a boot is tried twice. */
  async #awaitGuest(context: StepContext): Promise<void> {
    const startedAt = Date.now();
    for (let attempt = 1; ; attempt++) {
      const { record } = context;
      const live = this.#options.open(record);
      try {
        await this.#firstAnswer(live, context);
        context.learnt = { ...context.learnt, bootMs: Date.now() - startedAt };
        return;
      } catch (error) {
        const mayRetry =
          error instanceof FirebreakError &&
          error.code === "GUEST_UNREACHABLE" &&
          attempt < BOOT_ATTEMPTS &&
          context.saved === undefined;
        if (!mayRetry) throw await this.#bootError(record, error);
        this.#options.log("a boot hung; starting again", { vm: record.name, attempt });
        await this.#endVmm(context);
        await this.#startVmm(context);
      }
    }
  }

  /** Waits for the attachment, or for the VMM's end, or for the caller to give up. */
  async #firstAnswer(live: LiveVm, { options }: StepContext): Promise<void> {
    const over = new AbortController();
    const exited = this.#options.driver
      .waitForExit(live.vmm, AbortSignal.any([over.signal, live.signal]))
      .then(async () => {
        if (over.signal.aborted || live.signal.aborted) return new Promise<never>(() => {});
        throw new FirebreakError("VM_BOOT_FAILED", (await this.#options.driver.describeExit(live.vmm)).message);
      });
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(new FirebreakError("OPERATION_CANCELED", "starting the VM was cancelled"));
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.signal?.aborted) onAbort();
    try {
      await Promise.race([live.connection.session(BOOT_DEADLINE_MS), exited, aborted]);
    } finally {
      over.abort();
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  async #bootError(record: VmRecord, error: unknown): Promise<unknown> {
    if (!(error instanceof FirebreakError) || error.code === "OPERATION_CANCELED") return error;
    const message = await consoleReason(
      error.message,
      consoleLogPath(record, this.#options.paths),
      this.#options.live(record),
    );
    return new FirebreakError("VM_BOOT_FAILED", message, { cause: error, hint: "Run 'firebreak doctor'." });
  }

  async #personalise(context: StepContext, identity: "new" | "same"): Promise<void> {
    const { record, options, saved } = context;
    const live = this.#options.live(record) as LiveVm; // await_guest comes before in every plan
    const agent = saved?.manifest.agent ?? (await describeAgent(live));
    const { features } = agent;
    const growMib = saved !== undefined && saved.manifest.machine.diskMib < record.diskMib ? record.diskMib : undefined;
    if (growMib !== undefined) {
      requireFeature(features, "grow-overlay", "its disk cannot be enlarged");
      await this.#options.driver.growDrive(vmmOf(record), "overlay", growMib * MIB);
    }
    const values: PersonaliseValues = {
      entropyBase64: randomBytes(64).toString("base64"),
      ...(growMib === undefined ? {} : { overlayBytes: growMib * MIB }),
      ...withEnv(
        identity === "same" ? {} : newIdentity(record, features, saved !== undefined),
        await networkValues(this.#options.network, record, features),
      ),
      // Last: what comes before takes time.
      wallClockMs: Date.now(),
    };
    await live.client.personalise(values, options.signal === undefined ? {} : { signal: options.signal });
    context.endTurn?.();
    await this.#options.network?.ready(record.id);
    context.learnt = { ...context.learnt, agent };
  }

  async #serveMounts({ record, learnt }: StepContext): Promise<void> {
    const { client, signal } = this.#options.live(record) as LiveVm; // await_guest comes before
    const features = learnt?.agent?.features ?? record.agent?.features ?? [];
    await this.#options.mounts?.begin(record, { client, signal, features });
  }

  async #resumeVmm({ record }: StepContext): Promise<void> {
    await this.#options.driver.resume(vmmOf(record));
    // Its clock stood still with it.
    const live = this.#options.live(record) ?? this.#options.open(record);
    // A guest that is slow to hear of the time goes on all the same.
    await live.client
      .personalise(
        {
          wallClockMs: Date.now(),
          ...(await networkValues(this.#options.network, record, record.agent?.features ?? [])),
        },
        { deadlineMs: CLOCK_DEADLINE_MS },
      )
      .catch((error: unknown) => {
        this.#options.log("a resumed guest was not told the time", { vm: record.name, error: String(error) });
      });
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
    const report = await this.#options.workspaces?.push(record, live.client, options);
    if (report !== undefined) this.#noteSync(record, report);
  }

  async #pullWorkspace(
    { record, options }: StepContext,
    { isRequired, isReachable }: Extract<VmStep, { kind: "pull_workspace" }>,
  ): Promise<void> {
    const live = isReachable ? (this.#options.live(record) ?? this.#options.open(record)) : undefined;
    const settings = { ...options, isRequired, isEphemeral: record.ephemeral };
    const report = await this.#options.workspaces?.pull(record, live?.client, settings);
    if (report !== undefined) this.#noteSync(record, report);
  }

  #noteSync(record: VmRecord, { direction, counts, conflicts, backup }: WorkspaceReport): void {
    const data = { ...counts, conflicts: conflicts.length, ...(backup === undefined ? {} : { backup: backup.id }) };
    const kind = direction === "push" ? "workspace_pushed" : "workspace_pulled";
    this.#options.store.keep(record.id, {}, { kind, data });
  }

  /** Asks the guest to power off and waits until it has, at most a little longer than the grace. */
  async #stopGuest({ record, options }: StepContext, graceMs: number): Promise<void> {
    const live = this.#options.live(record) ?? this.#options.open(record);
    options.onProgress?.({ step: "stop", message: "the guest is shutting down" });
    await live.client.shutdown(graceMs, { deadlineMs: 5_000 }).catch((error: unknown) => {
      this.#options.log("the guest does not take a shutdown", { vm: record.name, error: String(error) });
    });
    const gaveUp = AbortSignal.any([
      live.signal,
      AbortSignal.timeout(graceMs + 5_000),
      ...(options.signal === undefined ? [] : [options.signal]),
    ]);
    await this.#options.driver.waitForExit(live.vmm, gaveUp);
  }

  async #endVmm({ record }: StepContext): Promise<void> {
    this.#options.close(record);
    const runtimeDir = path.join(this.#options.paths.runtime, "v", record.id);
    // A daemon that died between the spawn and the note of it leaves a VMM that only its folder names.
    if (record.vmm !== undefined) await this.#options.driver.kill(record.vmm);
    else await this.#options.driver.killUnrecorded(runtimeDir);
    await this.#options.network?.unplug(record.id);
    if (this.#options.store.get(record.id) !== undefined) this.#options.store.keep(record.id, { vmm: undefined });
  }
}

const MIB = 1024 * 1024;

function vmmOf(record: VmRecord) {
  if (record.vmm !== undefined) return record.vmm;
  throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${record.name}' has no VMM`);
}

/** An agent restored from an old snapshot ignores what it does not know: what cannot be done without is asked for first. */
function requireFeature(features: string[], name: string, consequence: string): void {
  if (features.includes(name)) return;
  throw new FirebreakError("SNAPSHOT_INCOMPATIBLE", `the snapshot's guest agent is too old: ${consequence}`, {
    hint: "Fork it without what it lacks (--disk, --network).",
  });
}

/** Both may say something of the environment. */
function withEnv(identity: PersonaliseValues, network: PersonaliseValues): PersonaliseValues {
  const env = { ...network.env, ...identity.env };
  return { ...identity, ...network, ...(Object.keys(env).length === 0 ? {} : { env }) };
}

/** What makes a guest a machine of its own; a fork also renews what its parent had made for itself. */
function newIdentity(record: VmRecord, features: string[], isFork: boolean): PersonaliseValues {
  return {
    hostname: record.name,
    machineId: randomBytes(16).toString("hex"),
    env: record.env,
    ...(isFork && features.includes("boot-id") ? { bootId: randomUUID() } : {}),
    ...(isFork && features.includes("new-machine") ? { isNewMachine: true } : {}),
  };
}

/** How long the end of a dead VM's console is waited for. */
const CONSOLE_END_MS = 500;

/** A reason with what the console said last: the line that tells of a panic, or else the last ones. */
export async function consoleReason(
  message: string,
  consoleLogPath: string,
  live: LiveVm | undefined,
): Promise<string> {
  await Promise.race([live?.consoleEnd, sleep(live === undefined ? 0 : CONSOLE_END_MS, undefined, { ref: false })]);
  return addConsoleWords(message, readBoundedLog(consoleLogPath).toString("utf8"));
}

import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Saved } from "../snapshots/saved-folder.ts";
import type { AccelVerdict, NetworkCard } from "../vmm/driver.ts";
import { machineOf, overlayPath } from "./machine.ts";
import type { SavedSource } from "./plan.ts";
import type { ImageRef, KernelRef } from "./ports.ts";
import type { StepContext, VmStepsOptions } from "./step-context.ts";
import { Turns } from "./turns.ts";
import type { VmRecord } from "./vm-store.ts";

/** How many restored VMs a processor brings up at a time: that it has something to do when one waits for the disk. */
const RESTORES_PER_CPU = 2;
/** A VM is up 0.2 s after its restore has begun (docs/performance.md); one that takes this long is not waited for. */
const LONGEST_RESTORE_MS = 1_000;

/** Steps that make a VM's drive, and begin and end its VMM. */
export class VmmSteps {
  readonly #options: VmStepsOptions;
  readonly #restores = new Turns(RESTORES_PER_CPU * os.availableParallelism(), LONGEST_RESTORE_MS);

  constructor(options: VmStepsOptions) {
    this.#options = options;
  }

  async createDrive({ record, options }: StepContext): Promise<void> {
    // An empty one in its place would pass for the VM.
    if (record.startedAt !== undefined)
      throw new FirebreakError("VM_STATE_CONFLICT", `the disk of the VM '${record.name}' is gone`, {
        hint: `Restore a snapshot of it, or delete it: firebreak vm delete ${record.name}`,
      });
    options.onProgress?.({ step: "drive", message: `formatting a drive of ${record.diskMib} MiB` });
    await this.#options.disk.createOverlay(overlayPath(record, this.#options.paths), record.diskMib);
  }

  /** The drive goes into its place as a whole: what a dead daemon leaves is the old one or the new one. */
  async copyDrive(context: StepContext, source: SavedSource): Promise<void> {
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
    const { memoryMib, cpus, diskMib, driver } = record;
    context.accelReason = reason;
    context.saved = await templates.ensure({ image, kernel, memoryMib, cpus, diskMib, driver, accel }, options);
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
    const verdict = await this.#options.drivers.of(record).chooseAccel(record.accelRequest, kernel, options.signal);
    if (verdict.isFresh && verdict.accel === "tcg") {
      options.onProgress?.({ step: "accel", message: `using emulation (TCG): ${verdict.reason}` });
    }
    return verdict;
  }

  async start(context: StepContext): Promise<void> {
    const { record, options } = context;
    const { drivers, store, paths } = this.#options;
    const { image, kernel } = await this.#resolve(context);
    const verdict = await this.#chooseAccel(context, kernel);
    options.onProgress?.({ step: "boot", message: "booting the VM" });
    const { kernelPath, initrdPath, kernelArgs } = kernel;
    const card = await this.#plug(record);
    const machine = machineOf(record, paths, image.rootfsPath, verdict.accel, [], card);
    const vmm = await drivers.of(record).start({ ...machine, kernelPath, initrdPath, kernelArgs }, options.signal);
    context.record = store.update(record.id, { vmm, accelReason: verdict.reason });
  }

  async restore(context: StepContext, source: SavedSource): Promise<void> {
    const { drivers, store, paths } = this.#options;
    const { record, options } = context;
    const driver = drivers.of(record);
    const image = await this.#resolveImage(context);
    const saved = await this.#findSaved(context, source);
    context.endTurn = await this.#restores.take(options.signal);
    options.onProgress?.({ step: "restore", message: "restoring the VM" });
    const { accel } = saved.manifest.machine;
    // Only what was suspended was saved with its drives.
    const attached = source.from === "suspension" ? this.#options.attached.devicesOf(record) : [];
    const card = await this.#plug(record);
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

  async #plug(record: VmRecord): Promise<NetworkCard | undefined> {
    const { hasNetworkNamespace } = await this.#options.drivers.of(record).abilities();
    return this.#options.network?.plug(record, { hasOwnNamespace: hasNetworkNamespace });
  }

  /** A template that is not what it was (or was pruned this moment) is made anew, with the drive that belongs to it. */
  async #remakeTemplate(context: StepContext, source: SavedSource): Promise<Saved["machine"]> {
    this.#options.log("a template is corrupt and made anew", { vm: context.record.name });
    if (context.saved !== undefined) await this.#options.templates.drop(context.saved);
    delete context.saved;
    await this.copyDrive(context, source);
    return (await this.#findSaved(context, source)).machine;
  }

  async end({ record }: StepContext): Promise<void> {
    this.#options.close(record);
    const runtimeDir = path.join(this.#options.paths.runtime, "v", record.id);
    // A daemon that died between the spawn and the note of it leaves a VMM that only its folder names.
    if (record.vmm !== undefined) await this.#options.drivers.of(record.vmm).kill(record.vmm);
    else await this.#options.drivers.killUnrecorded(runtimeDir);
    await this.#options.network?.unplug(record.id);
    if (this.#options.store.get(record.id) !== undefined) this.#options.store.keep(record.id, { vmm: undefined });
  }
}

import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { VmState } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { readBoundedLog } from "../platform/bounded-log.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { stripControl } from "../platform/terminal-text.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import type { LiveVm } from "./live-vm.ts";
import type { VmStep } from "./plan.ts";
import type { BootSource, WorkOptions } from "./ports.ts";
import type { VmRecord, VmStore } from "./vm-store.ts";

/** A boot under TCG takes 2 s on a quiet machine; one that has not ended by then hangs. */
const BOOT_DEADLINE_MS = 30_000;
/** Booting under TCG can hang in the guest kernel's clock calibration: it is tried once more. */
const BOOT_ATTEMPTS = 2;

export interface StepContext {
  record: VmRecord;
  options: WorkOptions;
}

export interface VmStepsOptions {
  paths: FirebreakPaths;
  store: VmStore;
  driver: VmmDriver;
  source: BootSource;
  log: (message: string, fields: Record<string, unknown>) => void;
  vmDir: (record: VmRecord) => string;
  open: (record: VmRecord) => LiveVm;
  close: (record: VmRecord) => void;
  live: (record: VmRecord) => LiveVm | undefined;
}

type Executors = { [K in VmStep["kind"]]: (context: StepContext, step: Extract<VmStep, { kind: K }>) => Promise<void> };

/** Does what the planner decided. A step kind without an executor does not compile. */
export class VmSteps {
  readonly #options: VmStepsOptions;
  readonly #executors: Executors;

  constructor(options: VmStepsOptions) {
    this.#options = options;
    this.#executors = {
      create_drive: (context) => this.#createDrive(context),
      start_vmm: (context) => this.#startVmm(context),
      await_guest: (context) => this.#awaitGuest(context),
      personalise: (context) => this.#personalise(context),
      stop_guest: (context, step) => this.#stopGuest(context, step.graceMs),
      end_vmm: (context) => this.#endVmm(context),
      mark: (context, step) => this.#mark(context, step.state),
      remove_files: async ({ record }) => {
        await rm(options.vmDir(record), { recursive: true, force: true });
      },
      forget: async ({ record }) => options.store.remove(record.id),
    };
  }

  async run(step: VmStep, context: StepContext): Promise<void> {
    const execute = this.#executors[step.kind] as (context: StepContext, step: VmStep) => Promise<void>;
    await execute(context, step);
  }

  async #mark({ record }: StepContext, state: VmState): Promise<void> {
    const { store, log } = this.#options;
    const startedAt = state === "running" ? { startedAt: new Date().toISOString() } : {};
    try {
      store.update(record.id, { state, reason: undefined, ...startedAt });
      store.addEvent(record.id, state, {});
    } catch (error) {
      // What frees space must go on when there is none for the note of it.
      const isFreeing = state === "deleting" || state === "stopping";
      if (!isFreeing || toFirebreakError(error).code !== "HOST_DISK_FULL") throw error;
      log("no space for a note", { vm: record.name, state });
    }
  }

  async #createDrive({ record, options }: StepContext): Promise<void> {
    options.onProgress?.({ step: "drive", message: `formatting a drive of ${record.diskMib} MiB` });
    await this.#options.source.createOverlay(path.join(this.#options.vmDir(record), "overlay.ext4"), record.diskMib);
  }

  async #startVmm({ record, options }: StepContext): Promise<void> {
    const { driver, source, store, paths } = this.#options;
    const image = await source.resolveImage(record.imageDigest, options);
    const kernel = await source.getKernel(record.kernelId);
    options.onProgress?.({ step: "accel", message: "choosing the accelerator" });
    const verdict = await driver.chooseAccel(record.accelRequest, kernel, options.signal);
    if (verdict.isFresh && verdict.accel === "tcg") {
      options.onProgress?.({ step: "accel", message: `using emulation (TCG): ${verdict.reason}` });
    }
    options.onProgress?.({ step: "boot", message: "booting the VM" });
    const vmDir = this.#options.vmDir(record);
    const vmm = await driver.start(
      {
        vmId: record.id,
        memoryMib: record.memoryMib,
        cpus: record.cpus,
        accel: verdict.accel,
        kernelPath: kernel.kernelPath,
        initrdPath: kernel.initrdPath,
        kernelArgs: [],
        drives: [
          { serial: "image", path: image.rootfsPath, readOnly: true },
          { serial: "overlay", path: path.join(vmDir, "overlay.ext4"), readOnly: false },
        ],
        runtimeDir: path.join(paths.runtime, "v", record.id),
        logPath: path.join(vmDir, "vmm.log"),
        uid: record.uid,
      },
      options.signal,
    );
    store.update(record.id, { vmm, accelReason: verdict.reason });
  }

  async #awaitGuest(context: StepContext): Promise<void> {
    const startedAt = Date.now();
    for (let attempt = 1; ; attempt++) {
      const record = this.#options.store.get(context.record.id) as VmRecord; // its row goes last of all
      const live = this.#options.open(record);
      try {
        await this.#firstAnswer(live, context);
        this.#options.store.update(record.id, { bootMs: Date.now() - startedAt });
        return;
      } catch (error) {
        const mayRetry =
          error instanceof FirebreakError && error.code === "GUEST_UNREACHABLE" && attempt < BOOT_ATTEMPTS;
        if (!mayRetry) throw await this.#bootError(record, error);
        this.#options.log("a boot hung; starting again", { vm: record.name, attempt });
        await this.#endVmm({ ...context, record });
        await this.#startVmm({ ...context, record });
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
      path.join(this.#options.vmDir(record), "console.log"),
      this.#options.live(record),
    );
    return new FirebreakError("VM_BOOT_FAILED", message, { cause: error, hint: "Run 'firebreak doctor'." });
  }

  async #personalise({ record, options }: StepContext): Promise<void> {
    const live = this.#options.live(record) as LiveVm; // await_guest comes before in every plan
    await live.client.personalise(
      {
        hostname: record.name,
        wallClockMs: Date.now(),
        entropyBase64: randomBytes(64).toString("base64"),
        machineId: randomBytes(16).toString("hex"),
        env: record.env,
      },
      { ...(options.signal === undefined ? {} : { signal: options.signal }) },
    );
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
    if (this.#options.store.get(record.id) !== undefined) {
      this.#options.store.update(record.id, { vmm: undefined });
    }
  }
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
  const lines = readBoundedLog(consoleLogPath).toString("utf8").trim().split(/\r?\n/).slice(-200);
  const telling = lines.findLast((line) => /Kernel panic - not syncing|firebreak-agent: (?!version )/.test(line));
  const tail = (telling === undefined ? lines.slice(-4) : [telling]).map(stripControl).join(" | ").trim();
  return tail === "" ? message : `${message}; the console ended with: ${tail.slice(-600)}`;
}

import { randomBytes, randomUUID } from "node:crypto";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { PersonaliseValues } from "../guest/protocol.ts";
import { consoleReason } from "./console-reason.ts";
import type { LiveVm } from "./live-vm.ts";
import { consoleLogPath } from "./machine.ts";
import { networkValues } from "./network-values.ts";
import { describeAgent } from "./save.ts";
import { type StepContext, type VmStepsOptions, vmmOf } from "./step-context.ts";
import type { VmRecord } from "./vm-store.ts";
import type { VmmSteps } from "./vmm-steps.ts";

/**
 * A boot under TCG takes 2 s on a quiet machine, and was seen to take 30 s on one with ten times the work that it has processors for; one that has not ended
 * by then hangs. KVM may itself be emulated.
 */
const BOOT_DEADLINE_MS = 60_000;
/** How long a resumed guest may take to set its clock before it goes on without. */
const CLOCK_DEADLINE_MS = 5_000;
/** Booting under TCG can hang in the guest kernel's clock calibration: it is tried once more. */
const BOOT_ATTEMPTS = 2;
const MIB = 1024 * 1024;

/** Steps that a VM's guest has a part in. */
export class GuestSteps {
  readonly #options: VmStepsOptions;
  readonly #vmm: VmmSteps;

  constructor(options: VmStepsOptions, vmm: VmmSteps) {
    this.#options = options;
    this.#vmm = vmm;
  }

  /** A restored guest is there or it is not: only a boot is tried twice. */
  async awaitAnswer(context: StepContext): Promise<void> {
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
        await this.#vmm.end(context);
        await this.#vmm.start(context);
      }
    }
  }

  /** Waits for the attachment, or for the VMM's end, or for the caller to give up. */
  async #firstAnswer(live: LiveVm, { options }: StepContext): Promise<void> {
    const over = new AbortController();
    const driver = this.#options.drivers.of(live.vmm);
    const exited = driver.waitForExit(live.vmm, AbortSignal.any([over.signal, live.signal])).then(async () => {
      if (over.signal.aborted || live.signal.aborted) return new Promise<never>(() => {});
      throw new FirebreakError("VM_BOOT_FAILED", (await driver.describeExit(live.vmm)).message);
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

  async personalise(context: StepContext, identity: "new" | "same"): Promise<void> {
    const { record, options, saved } = context;
    const live = this.#options.live(record) as LiveVm; // await_guest comes before in every plan
    const agent = saved?.manifest.agent ?? (await describeAgent(live));
    const { features } = agent;
    const growMib = saved !== undefined && saved.manifest.machine.diskMib < record.diskMib ? record.diskMib : undefined;
    if (growMib !== undefined) {
      requireFeature(features, "grow-overlay", "its disk cannot be enlarged");
      await this.#options.drivers.of(vmmOf(record)).growDrive(vmmOf(record), "overlay", growMib * MIB);
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

  async serveMounts({ record, learnt }: StepContext): Promise<void> {
    const { client, signal } = this.#options.live(record) as LiveVm; // await_guest comes before
    const features = learnt?.agent?.features ?? record.agent?.features ?? [];
    await this.#options.mounts?.begin(record, { client, signal, features });
  }

  async resume({ record }: StepContext): Promise<void> {
    await this.#options.drivers.of(vmmOf(record)).resume(vmmOf(record));
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

  /** Asks the guest to power off and waits until it has, at most a little longer than the grace. */
  async stop({ record, options }: StepContext, graceMs: number): Promise<void> {
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
    await this.#options.drivers.of(live.vmm).waitForExit(live.vmm, gaveUp);
  }
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

import type { DriverRequest } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { AccelRequest, BootFiles, VmmDriver } from "./driver.ts";

/** What a new machine needs of its driver. */
export interface DriverWant {
  driver: DriverRequest;
  accel: AccelRequest;
  /** Drives that come while it runs. */
  hasVolumes: boolean;
  /** A network card within the VMM, as hosts have that were set up without root. */
  hasUserCard?: boolean;
  boot: BootFiles;
  signal?: AbortSignal | undefined;
}

/** The drivers of a daemon. Each machine is of one of them for its life. */
export class VmmDrivers {
  /** In the order in which they are preferred; the last one is taken when no other can be. */
  readonly all: readonly [VmmDriver, ...VmmDriver[]];

  constructor(all: readonly [VmmDriver, ...VmmDriver[]]) {
    this.all = all;
  }

  find(name: string): VmmDriver | undefined {
    return this.all.find((driver) => driver.name === name);
  }

  /** That of a VM, a VMM's record or a saved machine. Throws VMM_NOT_FOUND for one that this daemon does not have. */
  of({ driver }: { driver: string }): VmmDriver {
    const found = this.find(driver);
    if (found === undefined) throw new FirebreakError("VMM_NOT_FOUND", `there is no driver '${driver}' here`);
    return found;
  }

  /**
   * The driver of a new machine, and why it is not the preferred one. Throws DRIVE_UNSUPPORTED or NETWORK_UNSUPPORTED when the one that is asked for cannot do what is needed; whether
   * it works at all is said by its own first step.
   */
  async choose(want: DriverWant): Promise<{ driver: VmmDriver; reason?: string }> {
    if (want.driver !== "auto") {
      const driver = this.of(want);
      if (want.hasVolumes && !(await driver.abilities()).hasHotplug)
        throw new FirebreakError("DRIVE_UNSUPPORTED", `a VM with volumes cannot have the driver ${driver.name}`, {
          hint: "Use --driver qemu, or auto.",
        });
      if (want.hasUserCard && !(await driver.abilities()).hasUserCard) throw noUserCard(driver.name);
      return { driver };
    }
    let reason: string | undefined;
    for (const driver of this.all.slice(0, -1)) {
      reason = await this.#whyNot(driver, want);
      if (reason === undefined) return { driver };
    }
    const last = this.all[this.all.length - 1] as VmmDriver;
    return { driver: last, ...(reason === undefined ? {} : { reason }) };
  }

  /** Why a driver is not taken by itself; undefined when it is. */
  async #whyNot(driver: VmmDriver, want: DriverWant): Promise<string | undefined> {
    const { accel, boot, signal } = want;
    if (accel === "tcg") return "emulation was asked for";
    try {
      await driver.check();
      const { hasHotplug, hasUserCard, canSave, whyNotSaved } = await driver.abilities();
      if (whyNotSaved !== undefined) return `${driver.name} cannot restore what it saves with ${whyNotSaved}`;
      if (!canSave) return `${driver.name} ${await driver.version()} cannot restore what it saves`;
      if (want.hasVolumes && !hasHotplug) return "the VM has volumes";
      if (want.hasUserCard && !hasUserCard) return "the VM's network card is within its VMM (network setup --user)";
      // The last one's verdict on KVM is kept over daemons; where it is no, nobody else need find that out again.
      const last = this.all[this.all.length - 1] as VmmDriver;
      const verdict = await last.chooseAccel("auto", boot, signal).catch(() => undefined);
      if (verdict?.accel === "tcg") return `KVM does not work here: ${verdict.reason}`;
      await driver.chooseAccel("kvm", boot, signal);
      return undefined;
    } catch (error) {
      if (signal?.aborted) throw error;
      return (error as Error).message;
    }
  }

  /** Lets go of a saved machine's memory, whichever has it. */
  release(memorySha256: string): void {
    for (const driver of this.all) driver.release(memorySha256);
  }

  /** Ends a VMM that nobody noted, of whichever driver. */
  async killUnrecorded(runtimeDir: string): Promise<void> {
    for (const driver of this.all) await driver.killUnrecorded(runtimeDir);
  }

  /** Lets go of what the drivers have open; VMs go on. */
  async close(): Promise<void> {
    for (const driver of this.all) await driver.close();
  }
}

export function noUserCard(driver: string): FirebreakError {
  return new FirebreakError("NETWORK_UNSUPPORTED", `the driver ${driver} has no user-mode networking`, {
    hint: "Use --driver qemu, or auto; or, as root, a bridge: firebreak network setup.",
  });
}

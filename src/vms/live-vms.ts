import { FirebreakError } from "../errors/firebreak-error.ts";
import type { MemoryHolder } from "./admission.ts";
import type { IdleWatch } from "./idle.ts";
import { LiveVm } from "./live-vm.ts";
import { consoleLogPath } from "./machine.ts";
import type { VmLink } from "./ports.ts";
import type { VmServiceOptions } from "./service-options.ts";
import type { VmRecord } from "./vm-store.ts";

const ATTACH_DEADLINE_MS = 10_000;

export interface LiveVmsOptions extends Pick<VmServiceOptions, "paths" | "drivers" | "network"> {
  idle: IdleWatch;
  /** A VM's VMM has ended while it was open. */
  onExit: (record: VmRecord, live: LiveVm) => Promise<void>;
  /** A VM stands still since the host's disk is full. Never throws. */
  onDiskFull: (id: string, live: LiveVm) => void;
}

/** The live sides of the VMs whose VMM runs. */
export class LiveVms {
  readonly #options: LiveVmsOptions;
  readonly #live = new Map<string, LiveVm>();

  constructor(options: LiveVmsOptions) {
    this.#options = options;
  }

  of(id: string): LiveVm | undefined {
    return this.#live.get(id);
  }

  /** Who takes memory of the host. */
  holders(): MemoryHolder[] {
    return [...this.#live].map(([id, { memoryMib, vmm }]) => ({ id, memoryMib, pid: vmm.pid }));
  }

  /** Attaches to a VMM that runs and watches it from now on. */
  open(record: VmRecord): LiveVm {
    const { vmm } = record;
    if (vmm === undefined) throw new FirebreakError("INTERNAL", `the VM '${record.name}' has no VMM`);
    const live = new LiveVm({
      driver: this.#options.drivers.of(vmm),
      vmm,
      memoryMib: record.memoryMib,
      consoleLogPath: consoleLogPath(record, this.#options.paths),
      attachDeadlineMs: ATTACH_DEADLINE_MS,
    });
    this.#live.set(record.id, live);
    this.#options.network?.open(record, this.linkOf(record, live));
    if (record.idleTimeoutMs !== undefined) this.#options.idle.watch(record.id, record.idleTimeoutMs);
    const stop = this.#options.drivers
      .of(live.vmm)
      .onDiskFull(live.vmm, () => this.#options.onDiskFull(record.id, live));
    live.signal.addEventListener("abort", stop, { once: true });
    void this.#watch(record, live);
    return live;
  }

  /** What its network reaches a VM by. */
  linkOf({ id }: VmRecord, live: LiveVm): VmLink {
    return {
      client: live.client,
      signal: live.signal,
      openEgress: (signal) => this.#options.drivers.of(live.vmm).openEgress(live.vmm, signal),
      onUse: () => this.#options.idle.touch(id),
    };
  }

  close({ id }: Pick<VmRecord, "id">): void {
    this.#live.get(id)?.close();
    this.#live.delete(id);
  }

  /** Lets go of all; the VMs go on. */
  closeAll(): void {
    for (const live of this.#live.values()) live.close();
    this.#live.clear();
  }

  async #watch(record: VmRecord, live: LiveVm): Promise<void> {
    await this.#options.drivers.of(live.vmm).waitForExit(live.vmm, live.signal);
    if (!live.signal.aborted) await this.#options.onExit(record, live);
  }
}

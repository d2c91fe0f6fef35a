import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { throwIfAborted } from "../platform/abort.ts";
import { type HostMemory, readHostMemory } from "../platform/host-memory.ts";
import { readOwnMemoryBytes } from "../platform/process-usage.ts";
import { Mutex } from "./mutex.ts";
import type { WorkOptions } from "./ports.ts";
import type { VmRecord } from "./vm-store.ts";

/** How often a VM that waits looks whether the host has room for it, ms. */
const LOOK_INTERVAL_MS = 250;

/**
 * What of promised memory that has not been taken is not kept free for it. An idle fork of 512 MiB has 41 MiB of its own (docs/performance.md):
 * to keep all of the rest for it would let a handful of VMs in where twenty do well, and to keep none lets VMs in that cannot all grow.
 * With a quarter, twenty of 512 MiB that are idle fit into 4 GiB.
 */
export const DEFAULT_OVERCOMMIT = 4;

const MIB = 1024 * 1024;

/** A VM that has a VMM, which takes the memory that the VM was promised as its guest writes to it. */
export interface MemoryHolder {
  id: string;
  memoryMib: number;
  pid: number;
}

export interface AdmissionOptions {
  readHost?: () => HostMemory;
  /** All VMs that have a VMM. */
  holders?: () => MemoryHolder[];
  /** What a process has of memory that is nobody else's, bytes; undefined when it has ended. */
  readOwn?: (pid: number) => number | undefined;
  /** 1 keeps all that has been promised free for whom it was promised to; 4, a quarter. */
  overcommit?: () => number;
}

/** Memory that is kept for a VM from when it is let in until its VMM has it, or its start has failed. Released once, by whoever took it. */
export interface Reservation {
  readonly memoryMib: number;
  /** Whose it is, as soon as that has a name: from when its VMM runs, that counts instead. */
  vmId: string | undefined;
  release(): void;
}

interface Figures {
  totalMib: number;
  /** What a new VM may have. */
  freeMib: number;
  availableMib: number;
  /** What is kept for VMs that have not taken it yet. */
  keptMib: number;
}

/** Lets VMs in that fit into the host's memory; those that may wait do so in order of arrival. */
export class Admission {
  readonly #readHost: () => HostMemory;
  readonly #holders: () => MemoryHolder[];
  readonly #readOwn: (pid: number) => number | undefined;
  readonly #overcommit: () => number;
  readonly #reserved = new Set<Reservation>();
  readonly #queue = new Mutex();

  constructor(options: AdmissionOptions = {}) {
    this.#readHost = options.readHost ?? readHostMemory;
    this.#holders = options.holders ?? (() => []);
    this.#readOwn = options.readOwn ?? readOwnMemoryBytes;
    this.#overcommit = options.overcommit ?? (() => DEFAULT_OVERCOMMIT);
  }

  /** Keeps memory for a VM, or for the making of a copy of its memory. Throws VM_MEMORY_EXHAUSTED, with the figures, when it does not fit now. */
  claim(memoryMib: number, vmId?: string): Reservation {
    const figures = this.#figures();
    if (memoryMib > figures.freeMib) throw exhausted(memoryMib, figures);
    return this.hold(memoryMib, vmId);
  }

  /** The same without asking: of a VM that has it already, and whose VMM is replaced. */
  hold(memoryMib: number, vmId?: string): Reservation {
    const reservation: Reservation = { memoryMib, vmId, release: () => void this.#reserved.delete(reservation) };
    this.#reserved.add(reservation);
    return reservation;
  }

  /** See `VmService.withMemory`. */
  async withMemory<T>(
    memoryMib: number,
    work: (reservation: Reservation) => Promise<T>,
    vm?: Pick<VmRecord, "id" | "state">,
  ): Promise<T> {
    const isThere = vm !== undefined && hasMemory(vm);
    const reservation = isThere ? this.hold(memoryMib, vm.id) : this.claim(memoryMib, vm?.id);
    try {
      return await work(reservation);
    } finally {
      reservation.release();
    }
  }

  /**
   * As `claim`, after a wait of at most `admissionWaitMs`, where that is given. One that is larger than the host is refused at once.
   * Throws OPERATION_CANCELED when the caller gives up.
   */
  async admit(
    memoryMib: number,
    options: WorkOptions & { admissionWaitMs?: number | undefined },
    vmId?: string,
  ): Promise<Reservation> {
    const { admissionWaitMs, signal, onProgress } = options;
    if (admissionWaitMs === undefined || memoryMib > this.#readHost().totalMib) return this.claim(memoryMib, vmId);
    const deadline = Date.now() + admissionWaitMs;
    return this.#queue.run(async () => {
      for (;;) {
        throwIfAborted(signal);
        const figures = this.#figures();
        if (memoryMib <= figures.freeMib) return this.hold(memoryMib, vmId);
        if (Date.now() >= deadline) throw exhausted(memoryMib, figures);
        const message = `waiting for ${memoryMib} MiB of the host's memory; ${figures.freeMib} MiB are free`;
        onProgress?.({ step: "admission", message });
        await sleep(Math.min(LOOK_INTERVAL_MS, deadline - Date.now()));
      }
    });
  }

  #figures(): Figures {
    const { totalMib, freeMib: availableMib } = this.#readHost();
    const holders = this.#holders();
    const held = new Set(holders.map(({ id }) => id));
    let untakenMib = 0;
    for (const { memoryMib, pid } of holders) {
      const ownBytes = this.#readOwn(pid);
      if (ownBytes !== undefined) untakenMib += Math.max(0, memoryMib - ownBytes / MIB);
    }
    for (const { memoryMib, vmId } of this.#reserved)
      if (vmId === undefined || !held.has(vmId)) untakenMib += memoryMib;
    const keptMib = Math.ceil(untakenMib / this.#overcommit());
    return { totalMib, availableMib, keptMib, freeMib: Math.max(0, availableMib - keptMib) };
  }
}

/** Whether a VM has been let in already. */
export function hasMemory({ state }: Pick<VmRecord, "state">): boolean {
  return state === "running" || state === "paused";
}

function exhausted(memoryMib: number, figures: Figures): FirebreakError {
  const { totalMib, freeMib, availableMib, keptMib } = figures;
  const kept =
    keptMib === 0 ? "" : `: ${availableMib} MiB are available, of which ${keptMib} MiB are kept for other VMs`;
  return new FirebreakError(
    "VM_MEMORY_EXHAUSTED",
    `the VM wants ${memoryMib} MiB; ${freeMib} MiB of the host's ${totalMib} MiB are free${kept}`,
    {
      hint: "Ask for less --memory, stop another VM (firebreak vm list), or wait for it: --wait-for-memory 5m",
      details: { memoryMib, freeMib, totalMib, availableMib, keptMib },
    },
  );
}

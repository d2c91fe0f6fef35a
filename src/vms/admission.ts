import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { throwIfAborted } from "../platform/abort.ts";
import { Mutex } from "./mutex.ts";
import type { WorkOptions } from "./ports.ts";

/** How often a VM that waits looks whether the host has room for it, ms. */
const LOOK_INTERVAL_MS = 250;

export interface HostMemory {
  totalMib: number;
  /** What the host can give without swapping. */
  freeMib: number;
}

export function readHostMemory(): HostMemory {
  const toMib = (bytes: number) => Math.floor(bytes / 1024 / 1024);
  return { totalMib: toMib(os.totalmem()), freeMib: toMib(os.freemem()) };
}

/** Lets VMs in that fit into the host's memory; those that may wait do so in order of arrival. */
export class Admission {
  readonly #read: () => HostMemory;
  readonly #queue = new Mutex();

  constructor(read: () => HostMemory = readHostMemory) {
    this.#read = read;
  }

  /** Throws VM_MEMORY_EXHAUSTED, with the figures, when the VM does not fit now. */
  check(memoryMib: number): void {
    const { totalMib, freeMib } = this.#read();
    if (memoryMib > freeMib) throw exhausted(memoryMib, totalMib, freeMib);
  }

  /**
   * The same after a wait of at most `admissionWaitMs`, where that is given. One that is larger than the host is refused at once.
   * Throws OPERATION_CANCELED when the caller gives up.
   */
  async admit(memoryMib: number, options: WorkOptions & { admissionWaitMs?: number | undefined }): Promise<void> {
    const { admissionWaitMs, signal, onProgress } = options;
    const { totalMib } = this.#read();
    if (admissionWaitMs === undefined || memoryMib > totalMib) return this.check(memoryMib);
    const deadline = Date.now() + admissionWaitMs;
    await this.#queue.run(async () => {
      for (;;) {
        throwIfAborted(signal);
        const { freeMib } = this.#read();
        if (memoryMib <= freeMib) return;
        if (Date.now() >= deadline) throw exhausted(memoryMib, totalMib, freeMib);
        const message = `waiting for ${memoryMib} MiB of the host's memory; ${freeMib} MiB are available`;
        onProgress?.({ step: "admission", message });
        await sleep(Math.min(LOOK_INTERVAL_MS, deadline - Date.now()));
      }
    });
  }
}

function exhausted(memoryMib: number, totalMib: number, freeMib: number): FirebreakError {
  return new FirebreakError(
    "VM_MEMORY_EXHAUSTED",
    `the VM wants ${memoryMib} MiB; ${freeMib} MiB of the host's ${totalMib} MiB are available`,
    {
      hint: "Ask for less --memory, stop another VM (firebreak vm list), or wait for it: --wait-for-memory 5m",
      details: { memoryMib, freeMib, totalMib },
    },
  );
}

import type { Vm } from "../contract/vm.ts";
import type { ExclusiveWork } from "./exclusive.ts";
import type { VmParts } from "./parts.ts";
import type { WorkOptions } from "./ports.ts";
import type { Starting } from "./starting.ts";

interface EndingOptions
  extends Pick<VmParts, "store" | "network" | "locks" | "idle" | "lifetimes" | "runner" | "roster"> {
  starting: Starting;
  exclusive: ExclusiveWork;
}

/** VMs that are stopped or deleted, whatever is being done with them. */
export class Ending {
  readonly #options: EndingOptions;
  /** Graceful stops under way, so that a forced one or a deletion does not wait for their grace. */
  readonly #stopping = new Map<string, AbortController>();

  constructor(options: EndingOptions) {
    this.#options = options;
  }

  /** See `VmService.stop`. */
  async stop(nameOrId: string, graceMs: number, options: WorkOptions & { staysWanted?: boolean } = {}): Promise<Vm> {
    const { store, locks, lifetimes, exclusive, runner, roster } = this.#options;
    const record = roster.find(nameOrId);
    lifetimes.callOffRestart(record.id);
    if (record.isWanted && options.staysWanted !== true) store.keep(record.id, { isWanted: false });
    if (graceMs === 0) {
      this.#stopping.get(record.id)?.abort();
      await exclusive.interrupt(record);
    }
    return locks.run(record.id, async () => {
      const aborter = new AbortController();
      this.#stopping.set(record.id, aborter);
      try {
        const target = { state: "stopped", graceMs } as const;
        await runner.reach(roster.find(record.id), target, { ...options, signal: aborter.signal });
      } finally {
        this.#stopping.delete(record.id);
      }
      return roster.viewOf(record.id);
    });
  }

  async delete(nameOrId: string, options: WorkOptions = {}): Promise<void> {
    const { store, network, locks, idle, lifetimes, starting, exclusive, runner, roster } = this.#options;
    const record = roster.find(nameOrId);
    starting.callOff(record.id);
    this.#stopping.get(record.id)?.abort();
    await exclusive.interrupt(record);
    await locks.run(record.id, async () => {
      const current = store.get(record.id);
      if (current !== undefined) await runner.reach(current, { state: "absent" }, options);
    });
    locks.forget(record.id);
    idle.forget(record.id);
    lifetimes.forget(record.id);
    network?.forget(record.id);
  }
}

import type { LiveVm } from "./live-vm.ts";
import type { VmParts } from "./parts.ts";
import type { VmRecord } from "./vm-store.ts";

type ExclusiveWorkOptions = Pick<VmParts, "store" | "drivers" | "locks" | "liveVms" | "roster">;

/** Work on VMs that run, during which nothing else changes them: a pause, a snapshot, a drive that comes or goes. */
export class ExclusiveWork {
  readonly #options: ExclusiveWorkOptions;
  /** VMs that are worked on. */
  readonly #ids = new Set<string>();

  constructor(options: ExclusiveWorkOptions) {
    this.#options = options;
  }

  /** See `VmService.exclusively`. */
  run<T>(nameOrId: string, work: (record: VmRecord, live: LiveVm | undefined) => Promise<T>): Promise<T> {
    const { locks, liveVms, roster } = this.#options;
    const { id } = roster.find(nameOrId);
    return locks.run(id, async () => {
      this.#ids.add(id);
      try {
        return await work(roster.find(id), liveVms.of(id));
      } finally {
        this.#ids.delete(id);
      }
    });
  }

  /** Ends the VMM of a VM that is worked on, which may take long, or for ever if the VMM stands still. */
  async interrupt(record: VmRecord): Promise<void> {
    const vmm = this.#options.store.get(record.id)?.vmm;
    if (this.#ids.has(record.id) && vmm !== undefined) await this.#options.drivers.of(vmm).kill(vmm);
  }
}

import type { Vm } from "../contract/vm.ts";
import { orGiveUp } from "../platform/abort.ts";
import type { LiveVm } from "./live-vm.ts";
import type { VmParts } from "./parts.ts";
import type { WorkOptions } from "./ports.ts";
import type { Starting } from "./starting.ts";
import { notRunning } from "./vm-errors.ts";

interface AccessOptions extends Pick<VmParts, "locks" | "liveVms" | "idle" | "roster"> {
  starting: Starting;
}

/** How everybody gets at a guest. */
export class Access {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** See `VmService.live`. */
  live(nameOrId: string): LiveVm {
    const { liveVms, roster } = this.#options;
    const record = roster.find(nameOrId);
    const live = liveVms.of(record.id);
    if (live !== undefined && record.state === "running") return live;
    throw notRunning(record);
  }

  /** See `VmService.requireUsable`. */
  requireUsable(nameOrId: string): Vm {
    const { roster } = this.#options;
    const record = roster.find(nameOrId);
    if (record.state === "stopped" || record.state === "crashed" || record.state === "paused") throw notRunning(record);
    return roster.view(record);
  }

  /** See `VmService.use`. */
  async use<T>(nameOrId: string, options: WorkOptions, work: (live: LiveVm) => Promise<T>): Promise<T> {
    const { idle, roster } = this.#options;
    const { id } = roster.find(nameOrId);
    return idle.during(id, async () => work(await this.#awaken(id, options)));
  }

  async #awaken(id: string, options: WorkOptions): Promise<LiveVm> {
    const { locks, roster, starting } = this.#options;
    let record = roster.find(id);
    if (record.state === "created" || record.state === "starting" || record.state === "suspending") {
      options.onProgress?.({ step: "wait", message: `waiting for the VM '${record.name}', which is ${record.state}` });
      record = await orGiveUp(
        locks.run(id, async () => roster.find(id)),
        options.signal,
      );
    }
    if (record.state === "suspended") {
      options.onProgress?.({ step: "restore", message: `bringing the VM '${record.name}' back` });
      await orGiveUp(starting.start(id, options), options.signal);
    }
    return this.live(id);
  }
}

import type { Vm } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { VmServiceOptions } from "./service-options.ts";
import type { VmRecord } from "./vm-store.ts";
import { toVm } from "./vm-view.ts";

/** The VMs that there are, by what callers call them, and as callers see them. */
export class Roster {
  readonly #options: Pick<VmServiceOptions, "store" | "log" | "attached" | "network" | "mounts">;

  constructor(options: Pick<VmServiceOptions, "store" | "log" | "attached" | "network" | "mounts">) {
    this.#options = options;
  }

  /** Throws VM_NOT_FOUND. */
  find(nameOrId: string): VmRecord {
    const record = this.#options.store.find(nameOrId);
    if (record !== undefined) return record;
    throw new FirebreakError("VM_NOT_FOUND", `no VM is named '${nameOrId}'`, { hint: "List them: firebreak vm list" });
  }

  view(record: VmRecord): Vm {
    const { attached, network, mounts } = this.#options;
    return toVm(record, attached.list(record), network?.exposedIn(record), mounts?.problemsOf(record.id));
  }

  /** As the store has it now. Throws VM_NOT_FOUND. */
  viewOf(nameOrId: string): Vm {
    return this.view(this.find(nameOrId));
  }

  /** Throws VM_ALREADY_EXISTS before anything that takes time is begun. */
  requireFreeName(name: string): void {
    if (this.#options.store.find(name) === undefined) return;
    throw new FirebreakError("VM_ALREADY_EXISTS", `a VM named '${name}' exists`, {
      hint: `Choose another name, or delete it: firebreak vm delete ${name}`,
    });
  }

  /** Tells of what has happened to a VM: in its history, unless it is gone, and in the daemon's log. */
  note(record: VmRecord, kind: string, data: Record<string, unknown>): void {
    if (this.#options.store.get(record.id) !== undefined) this.#options.store.keep(record.id, {}, { kind, data });
    this.#options.log(`vm ${kind}`, { vm: record.name, ...data });
  }
}

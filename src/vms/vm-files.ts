import { rename } from "node:fs/promises";
import path from "node:path";
import { isHostDiskFull } from "../errors/firebreak-error.ts";
import { removeFolder } from "../platform/remove-folder.ts";
import { vmDir } from "./machine.ts";
import type { VmStepsOptions } from "./step-context.ts";
import type { VmRecord } from "./vm-store.ts";

/** What is left of a VM when it goes: its files, and its record. */
export class VmFiles {
  readonly #options: Pick<VmStepsOptions, "store" | "paths" | "log">;
  /** Files of deleted VMs that are being removed, by VM. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(options: Pick<VmStepsOptions, "store" | "paths" | "log">) {
    this.#options = options;
  }

  /** On a full disk there may be room for that only when the VM's files have gone. */
  async forget({ id }: VmRecord): Promise<void> {
    const { store } = this.#options;
    try {
      store.remove(id);
    } catch (error) {
      const leaving = this.#leaving.get(id);
      if (leaving === undefined || !isHostDiskFull(error)) throw error;
      await leaving;
      store.remove(id);
    }
  }

  /** Gone at once for everybody; giving the blocks back takes longer, and nobody has to wait for it. */
  async remove(record: VmRecord): Promise<void> {
    const { paths, log } = this.#options;
    const leaving = path.join(paths.trash, record.id);
    await removeFolder(leaving); // a deletion that was cut off between here and the end
    await rename(vmDir(record, paths), leaving).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    const removal = removeFolder(leaving)
      // The next daemon empties the folder.
      .catch((error: unknown) => log("a deleted VM's files are left", { vm: record.name, error: String(error) }))
      .finally(() => this.#leaving.delete(record.id));
    this.#leaving.set(record.id, removal);
  }
}

import type { Vm } from "../../contract/vm.ts";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import type { VmClient } from "../vm-client.ts";
import { parseUri } from "./uri.ts";

/** Guests that are slow to answer keep others waiting no longer than this, ms. */
const DEADLINE_MS = 5_000;
/** Looks under way at most: who wants to hear of many files hears later. */
const MAX_AT_ONCE = 32;
const ABSENT = "absent";

interface Look {
  /** What was seen last; undefined before the first look. */
  seen?: string;
  isUnderWay: boolean;
}

/** Looks at files in VMs, and at how far commands' outputs have come, and tells what has changed since it looked last. */
export class GuestLooks {
  readonly #looks = new Map<string, Look>();
  readonly #onChanged: (uri: string) => void;
  #underWay = 0;

  constructor(onChanged: (uri: string) => void) {
    this.#onChanged = onChanged;
  }

  static covers(uri: string): boolean {
    const kind = parseUri(uri)?.kind;
    return kind === "file" || kind === "output";
  }

  forget(uri: string): void {
    this.#looks.delete(uri);
  }

  /** Begins to look at these, longest unseen first. Looking is no use of a VM: one that does not run has no news. */
  begin(uris: Iterable<string>, vms: readonly Vm[], client: VmClient): void {
    const running = new Set(vms.filter(({ state }) => state === "running").flatMap(({ id, name }) => [id, name]));
    for (const uri of uris) if (!this.#looks.has(uri)) this.#looks.set(uri, { isUnderWay: false });
    for (const [uri, look] of [...this.#looks]) {
      if (this.#underWay >= MAX_AT_ONCE) return;
      const address = parseUri(uri);
      if (look.isUnderWay || address === undefined || !("vm" in address) || !running.has(address.vm)) continue;
      // To the end of the line.
      this.#looks.delete(uri);
      this.#looks.set(uri, look);
      void this.#look(uri, look, client);
    }
  }

  async #look(uri: string, look: Look, client: VmClient): Promise<void> {
    look.isUnderWay = true;
    this.#underWay++;
    const now = await describe(uri, client).catch((thrown: unknown) =>
      // Anything else says nothing of it: the VM may have been suspended this moment.
      toFirebreakError(thrown).class === "not_found" ? ABSENT : look.seen,
    );
    this.#underWay--;
    look.isUnderWay = false;
    const isNew = look.seen !== undefined && look.seen !== now;
    if (now !== undefined) look.seen = now;
    if (isNew && this.#looks.get(uri) === look) this.#onChanged(uri);
  }
}

/** What changes with a resource's content, and is less to ask for. */
async function describe(uri: string, client: VmClient): Promise<string | undefined> {
  const address = parseUri(uri);
  const options = { isPeek: true, signal: AbortSignal.timeout(DEADLINE_MS) };
  if (address?.kind === "file") return JSON.stringify(await client.files.stat(address.vm, address.path, options));
  if (address?.kind !== "output") return undefined;
  const { outputBytes, state } = await client.execs.get(address.vm, address.exec, options);
  return `${outputBytes} ${state}`;
}

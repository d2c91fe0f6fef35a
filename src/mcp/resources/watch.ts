import { setTimeout as sleep } from "node:timers/promises";
import type { VmClient } from "../vm-client.ts";
import { GuestLooks } from "./guest-looks.ts";
import { ARTIFACTS_URI, artifactUri, parseUri, SNAPSHOTS_URI, snapshotUri, VMS_URI, vmUri } from "./uri.ts";

/** How often VMs, snapshots, artifacts, files and outputs are looked at while somebody wants to hear of them, ms. */
const LOOK_MS = 500;
/** News of one resource come no quicker than this one after another, ms. */
const LEAST_INTERVAL_MS = 250;
/** How long to wait before a console that cannot be followed (now) is tried again, ms. */
const RETRY_MS = 1_000;

export interface ResourceWatchOptions {
  /** Reaches the daemon, and starts none: nobody asks for anything by waiting. */
  client: () => Promise<VmClient>;
  onUpdated: (uri: string) => void;
  onListChanged: () => void;
  lookMs?: number;
}

/** Looks after the resources that clients want to hear of, for as long as somebody does. Each is counted once, whoever asks. */
export class ResourceWatch {
  readonly #options: ResourceWatchOptions;
  readonly #wanted = new Map<string, number>();
  readonly #consoles = new Map<string, AbortController>();
  readonly #lastToldMs = new Map<string, number>();
  readonly #delayed = new Map<string, NodeJS.Timeout>();
  readonly #guests = new GuestLooks((uri) => this.#tell(uri));
  #wantsList = 0;
  #look: NodeJS.Timeout | undefined;
  #isLooking = false;
  /** What was there at the last look, by URI; undefined before the first. */
  #seen: Map<string, string> | undefined;

  constructor(options: ResourceWatchOptions) {
    this.#options = options;
  }

  /** Tells of changes of these until the returned function is called. What is no resource is passed over. */
  watch = (uris: readonly string[]): (() => void) => {
    const mine = [...new Set(uris)].filter(isWatchable);
    for (const uri of mine) this.#add(uri);
    this.#schedule();
    return once(() => {
      for (const uri of mine) this.#remove(uri);
      this.#schedule();
    });
  };

  watchList = (): (() => void) => {
    this.#wantsList++;
    this.#schedule();
    return once(() => {
      this.#wantsList--;
      this.#schedule();
    });
  };

  #add(uri: string): void {
    const count = this.#wanted.get(uri) ?? 0;
    this.#wanted.set(uri, count + 1);
    const address = parseUri(uri);
    if (count > 0 || address?.kind !== "console") return;
    const aborter = new AbortController();
    this.#consoles.set(uri, aborter);
    void this.#followConsole(uri, address.vm, aborter.signal);
  }

  #remove(uri: string): void {
    const count = this.#wanted.get(uri) ?? 0;
    if (count > 1) return void this.#wanted.set(uri, count - 1);
    this.#wanted.delete(uri);
    this.#consoles.get(uri)?.abort();
    this.#consoles.delete(uri);
    clearTimeout(this.#delayed.get(uri));
    this.#delayed.delete(uri);
    this.#lastToldMs.delete(uri);
    this.#guests.forget(uri);
  }

  #schedule(): void {
    const needsLook = this.#wantsList > 0 || this.#wanted.size > this.#consoles.size;
    if (needsLook && this.#look === undefined) {
      this.#seen = undefined;
      void this.#lookNow();
      this.#look = setInterval(() => void this.#lookNow(), this.#options.lookMs ?? LOOK_MS);
      this.#look.unref();
    } else if (!needsLook && this.#look !== undefined) {
      clearInterval(this.#look);
      this.#look = undefined;
    }
  }

  async #lookNow(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const client = await this.#options.client();
      const [vms, snapshots, artifacts] = await Promise.all([
        client.vms.list(),
        client.snapshots.list(),
        client.artifacts.list(),
      ]);
      this.#guests.begin([...this.#wanted.keys()].filter(GuestLooks.covers), vms, client);
      const now = new Map<string, string>();
      const note = (uri: string, thing: unknown) => now.set(uri, JSON.stringify(thing));
      for (const vm of vms) for (const uri of [vmUri(vm.name), vmUri(vm.id)]) note(uri, vm);
      for (const snapshot of snapshots)
        for (const uri of [snapshotUri(snapshot.name), snapshotUri(snapshot.id)]) note(uri, snapshot);
      for (const artifact of artifacts)
        for (const uri of [artifactUri(artifact.name), artifactUri(artifact.id)]) note(uri, artifact);
      const names = JSON.stringify([vms, snapshots, artifacts].map((things) => things.map(({ name }) => name)));
      const isListNew = this.#seen !== undefined && this.#seen.get("") !== names;
      const before = this.#seen;
      now.set(VMS_URI, JSON.stringify(vms));
      now.set(SNAPSHOTS_URI, JSON.stringify(snapshots));
      now.set(ARTIFACTS_URI, JSON.stringify(artifacts));
      now.set("", names);
      this.#seen = now;
      if (before === undefined) return;
      for (const uri of this.#wanted.keys()) {
        const key = canonical(uri);
        if (before.get(key) !== now.get(key)) this.#tell(uri);
      }
      if (isListNew && this.#wantsList > 0) this.#options.onListChanged();
    } catch {
      // A daemon that is away has no news; when it is back, what has changed meanwhile is.
    } finally {
      this.#isLooking = false;
    }
  }

  async #followConsole(uri: string, vm: string, signal: AbortSignal): Promise<void> {
    /** What the log held when it was last read; unknown at first, and then no news. */
    let seenBytes: number | undefined;
    while (!signal.aborted) {
      try {
        const client = await this.#options.client();
        if ((await client.vms.get(vm, { signal })).state === "running") {
          const stream = await client.vms.logs(vm, true, { signal });
          seenBytes = await this.#readConsole(uri, stream as AsyncIterable<Buffer>, seenBytes);
        }
      } catch {
        // Tried again: the VM may not be there yet, or the daemon.
      }
      await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Tells of what comes beyond what has been seen; returns how much there was. */
  async #readConsole(uri: string, stream: AsyncIterable<Buffer>, seenBytes: number | undefined): Promise<number> {
    let bytes = 0;
    let isBacklog = seenBytes === undefined;
    const endBacklog = () => {
      isBacklog = false;
    };
    for await (const chunk of stream) {
      bytes += chunk.length;
      if (isBacklog) setImmediate(endBacklog);
      else if (bytes > (seenBytes ?? 0)) this.#tell(uri);
    }
    return bytes;
  }

  /** Tells of a change now, or once what was told last is old enough: then of all changes up to then in one. */
  #tell(uri: string): void {
    const sinceMs = performance.now() - (this.#lastToldMs.get(uri) ?? Number.NEGATIVE_INFINITY);
    if (this.#delayed.has(uri)) return;
    const tell = () => {
      this.#delayed.delete(uri);
      this.#lastToldMs.set(uri, performance.now());
      this.#options.onUpdated(uri);
    };
    if (sinceMs >= LEAST_INTERVAL_MS) tell();
    else this.#delayed.set(uri, setTimeout(tell, LEAST_INTERVAL_MS - sinceMs).unref());
  }
}

export function isWatchable(uri: string): boolean {
  return parseUri(uri) !== undefined;
}

/** One spelling for each resource. */
function canonical(uri: string): string {
  const address = parseUri(uri);
  if (address?.kind === "vm") return vmUri(address.vm);
  if (address?.kind === "snapshot") return snapshotUri(address.snapshot);
  return address?.kind === "artifact" ? artifactUri(address.artifact) : uri;
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
}

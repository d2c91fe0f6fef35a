import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { LiveVm } from "./live-vm.ts";
import { vmDir } from "./machine.ts";
import type { VmParts } from "./parts.ts";
import { IdTimers } from "./timers.ts";
import type { VmRecord } from "./vm-store.ts";

const MIB = 1024 * 1024;
/** With less room a VM would soon stand still again. */
const ROOM_BYTES = 64 * MIB;
/** How often is looked for room, ms; longer and longer where a VM that has gone on stands still again soon. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 5 * 60_000;
const SOON_MS = 60_000;

/** Why such a VM is paused: by this it is known again, also by the next daemon. */
const REASON = "the host's disk is full; it goes on when there is room";

interface FullDisksOptions
  extends Pick<VmParts, "paths" | "store" | "drivers" | "disk" | "attached" | "locks" | "roster" | "log"> {
  resume: (id: string) => Promise<unknown>;
}

/** VMs that stand still since the host's disk has no room for what they write: that is told of, and they go on when there is. */
export class FullDisks {
  readonly #options: FullDisksOptions;
  readonly #timers = new IdTimers();
  /** Those that a VMM has said so of, and that are not dealt with yet: it may say it any number of times. */
  readonly #pending = new Set<string>();
  readonly #resumed = new Map<string, { atMs: number; pauseMs: number }>();

  constructor(options: FullDisksOptions) {
    this.#options = options;
  }

  /** A VM's VMM says that it stands still. Never throws. */
  note(id: string, live: LiveVm): void {
    if (this.#pending.has(id)) return;
    this.#pending.add(id);
    this.#look(id, live)
      .catch((error: unknown) => this.#options.log("a full disk was not dealt with", { id, error: String(error) }))
      .finally(() => this.#pending.delete(id));
  }

  /** Throws HOST_DISK_FULL for a VM that stands still for that as long as there is no room: there is none for a note that it goes on either. */
  async requireRoom(record: VmRecord): Promise<void> {
    if (!isWaiting(record) || (await this.#hasRoom(record))) return;
    throw new FirebreakError("HOST_DISK_FULL", `no space is left on the host's disk for what '${record.name}' writes`, {
      hint: "Make room: firebreak vm list, snapshot list, image list. The VM then goes on by itself.",
    });
  }

  close(): void {
    this.#timers.close();
  }

  async #look(id: string, live: LiveVm): Promise<void> {
    const { store, drivers, locks, roster } = this.#options;
    await locks.run(id, async () => {
      const record = store.get(id);
      const stands = record?.state === "running" || (record !== undefined && isWaiting(record));
      if (live.signal.aborted || !stands || !(await drivers.of(live.vmm).isDiskFull(live.vmm))) return;
      if (record.state === "running") {
        store.keep(id, { state: "paused", reason: REASON });
        roster.note(record, "disk_full", { reason: REASON });
      }
      this.#wait(id, this.#nextPause(id));
    });
  }

  #nextPause(id: string): number {
    const last = this.#resumed.get(id);
    const isSoon = last !== undefined && performance.now() - last.atMs < SOON_MS;
    return isSoon ? Math.min(last.pauseMs * 2, MAX_PAUSE_MS) : FIRST_PAUSE_MS;
  }

  #wait(id: string, pauseMs: number): void {
    this.#timers.set(id, pauseMs, () => void this.#goOn(id, pauseMs));
  }

  async #goOn(id: string, pauseMs: number): Promise<void> {
    const { store, log, roster, resume } = this.#options;
    const record = store.get(id);
    if (record === undefined || !isWaiting(record)) {
      this.#resumed.delete(id);
      return;
    }
    try {
      if (!(await this.#hasRoom(record))) return this.#wait(id, pauseMs);
      this.#resumed.set(id, { atMs: performance.now(), pauseMs });
      roster.note(record, "disk_has_room", {});
      await resume(id);
    } catch (error) {
      log("a VM that stood still on a full disk cannot go on", { id, error: toFirebreakError(error).message });
      this.#wait(id, Math.min(pauseMs * 2, MAX_PAUSE_MS));
    }
  }

  /** Wherever its drives are. */
  async #hasRoom(record: VmRecord): Promise<boolean> {
    const { paths, disk, attached } = this.#options;
    const drives = attached.devicesOf(record).filter(({ readOnly }) => !readOnly);
    const free = await Promise.all(
      [vmDir(record, paths), ...drives.map(({ path }) => path)].map((path) => disk.freeBytes(path)),
    );
    return Math.min(...free) >= ROOM_BYTES;
  }
}

function isWaiting({ state, reason }: VmRecord): boolean {
  return state === "paused" && reason === REASON;
}

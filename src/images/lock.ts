import { randomBytes } from "node:crypto";
import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { identifyProcess, isSameProcessAlive, type ProcessIdentity } from "../platform/process.ts";

export interface LockOptions {
  signal?: AbortSignal;
  /** Called once when another process holds the lock, with its pid. */
  onWait?: (pid: number) => void;
  pollMs?: number;
}

interface LockContent extends ProcessIdentity {
  /** Tells two holders in one process apart. */
  nonce: string;
}

const ENDING = ".lock";

/**
 * Runs `use` while no other caller, in this process or another, holds the lock file. A lock whose holder has died (by
 * pid, start time and boot) is taken over. Throws an AbortError when the signal fires while waiting.
 */
export async function withLock<T>(file: string, options: LockOptions, use: () => Promise<T>): Promise<T> {
  const content = await acquire(file, options);
  try {
    return await use();
  } finally {
    const holder = await readLock(file);
    if (holder !== undefined && holder !== "unreadable" && holder.nonce === content.nonce)
      await rm(file, { force: true });
  }
}

/** Names of the locks of a folder (`NAME.lock`) that somebody holds, but those that begin with a dot. */
export async function heldLocks(folder: string): Promise<string[]> {
  const held: string[] = [];
  for (const file of (await readdir(folder).catch(() => [])).toSorted()) {
    if (file.startsWith(".") || !file.endsWith(ENDING)) continue;
    const holder = await readLock(path.join(folder, file));
    if (holder !== undefined && (await isAlive(holder))) held.push(file.slice(0, -ENDING.length));
  }
  return held;
}

async function acquire(file: string, options: LockOptions): Promise<LockContent> {
  await mkdir(path.dirname(file), { recursive: true });
  const identity = await identifyProcess(process.pid);
  if (identity === undefined) throw new FirebreakError("INTERNAL", "there is no /proc entry for this process");
  const content: LockContent = { ...identity, nonce: randomBytes(8).toString("hex") };
  const mine = `${file}.${content.nonce}`;
  // A link appears complete or not at all, so nobody ever reads half a lock.
  await writeFile(mine, JSON.stringify(content));
  let hasTold = false;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      if (await tryLink(mine, file)) return content;
      const holder = await readLock(file);
      if (holder === undefined) continue;
      if (holder === "unreadable" || !(await isAlive(holder))) {
        await removeStale(file, mine);
        continue;
      }
      if (!hasTold) options.onWait?.(holder.pid);
      hasTold = true;
      await delay(options.pollMs ?? 150, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  } finally {
    await rm(mine, { force: true });
  }
}

/**
 * Takes a stale lock away. Between reading it and removing it another process may have put a live one in its place, so
 * only the holder of a second file may remove a lock, and looks at it again before: a live lock is never touched. The
 * second file is held for a moment only; should its holder die in that moment, it is removed as soon as that is seen.
 */
async function removeStale(file: string, mine: string): Promise<void> {
  const guard = `${file}.takeover`;
  if (!(await tryLink(mine, guard))) {
    const holder = await readLock(guard);
    if (holder !== undefined && !(await isAlive(holder))) await rm(guard, { force: true });
    return delay(5);
  }
  try {
    // One that is gone by now must not be removed: the next moment may bring a live one.
    const holder = await readLock(file);
    if (holder !== undefined && !(await isAlive(holder))) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** The lock's content; undefined when there is no lock, "unreadable" when it is torn (a full disk) or foreign. */
async function readLock(file: string): Promise<LockContent | "unreadable" | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return isLockContent(value) ? value : "unreadable";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "unreadable";
  }
}

async function isAlive(holder: LockContent | "unreadable"): Promise<boolean> {
  return holder !== "unreadable" && isSameProcessAlive(holder);
}

function isLockContent(value: unknown): value is LockContent {
  if (typeof value !== "object" || value === null) return false;
  const { pid, startTicks, bootId, nonce } = value as Record<string, unknown>;
  return [pid, startTicks].every(Number.isSafeInteger) && typeof bootId === "string" && typeof nonce === "string";
}

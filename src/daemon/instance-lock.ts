import { DatabaseSync } from "node:sqlite";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** SQLITE_BUSY of sqlite3.h: another process holds the lock. */
const SQLITE_BUSY = 5;

/**
 * Makes this process the one daemon of a state directory, until it ends. SQLite's exclusive lock is a lock of the kernel's: it
 * goes with the process however that ends, so that no stale lock file has to be judged.
 */
export function takeInstanceLock(path: string): { release: () => void } {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE;");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    throw new FirebreakError("DAEMON_ALREADY_RUNNING", "a daemon already serves this FIREBREAK_HOME", {
      hint: "See it: firebreak daemon status",
      cause: error,
    });
  }
  return { release: () => database.close() };
}

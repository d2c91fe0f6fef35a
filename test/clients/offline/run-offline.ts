import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";

export interface OfflineJob {
  argv: string[];
  cwd: string;
  /** All of the program's environment. */
  env: Record<string, string>;
  /** Ports of 127.0.0.1 there, and what answers on them. */
  doors: { port: number; socketPath: string }[];
}

export interface OfflineResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** A program that has not ended by then has hung, ms. */
const DEADLINE_MS = 240_000;

/**
 * Runs a program in a network namespace of its own: it reaches the doors on loopback and nothing else, and whatever else it tries fails at once.
 * Its standard input is empty.
 */
export async function runOffline(job: OfflineJob): Promise<OfflineResult> {
  const inside = path.join(import.meta.dirname, "inside.ts");
  const isRoot = process.getuid?.() === 0;
  const child = spawn(
    "unshare",
    [
      // Without root, a namespace of users lets one have a network of one's own.
      ...(isRoot ? [] : ["--map-root-user"]),
      "--net",
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      inside,
      JSON.stringify(job),
    ],
    // A process group of its own, so that a program that hangs is ended with all that it has started.
    { stdio: ["ignore", "pipe", "pipe"], detached: true },
  );
  const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, "SIGKILL"), DEADLINE_MS);
  try {
    const [[exitCode], stdout, stderr] = await Promise.all([
      once(child, "close") as Promise<[number | null]>,
      text(child.stdout),
      text(child.stderr),
    ]);
    return { exitCode, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

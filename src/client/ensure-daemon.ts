import { closeSync, openSync, readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { compileCachePath } from "../platform/compile-cache.ts";
import { entryPath } from "../platform/package-files.ts";
import { createPaths, type FirebreakPaths } from "../platform/paths.ts";
import { spawnDetached } from "../platform/process.ts";

/** The daemon allocates little and lives long: a small young generation and one V8 worker save it some 7 MiB. */
const MEMORY_FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=1"];
/**
 * One malloc arena: with glibc's default of eight a core a daemon that has served a VM keeps 40 MiB more. Fixed thresholds: those that adapt
 * themselves let it keep up to 4 MiB that it needed once.
 */
export const MALLOC = { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "65536", MALLOC_MMAP_THRESHOLD_: "65536" };
/** Exit code of a daemon that finds another one's lock (DAEMON_ALREADY_RUNNING). */
const LOCK_IS_HELD = 4;
const RETRY_MS = 100;
const START_DEADLINE_MS = 20_000;

/** Resolves when a daemon answers; starts one when none does. Returns whether this call started it. */
export async function ensureDaemon(paths: FirebreakPaths): Promise<boolean> {
  if (await canConnect(paths.socket)) return false;
  createPaths(paths);
  const outputPath = `${paths.home}/daemon-start.log`;
  const deadline = Date.now() + START_DEADLINE_MS;
  let daemon = await spawnDaemon(outputPath);
  while (Date.now() < deadline) {
    if (await canConnect(paths.socket)) return true;
    const exitCode = daemon.exitCode();
    if (exitCode === LOCK_IS_HELD) {
      // Another command was quicker, and its daemon will answer; or an ending daemon holds the lock a little longer.
      await sleep(RETRY_MS);
      if (!(await canConnect(paths.socket))) daemon = await spawnDaemon(outputPath);
    } else if (exitCode !== undefined) break;
    await sleep(10);
  }
  const words = readFileSync(outputPath, "utf8").trim().split("\n").slice(-3).join(" | ");
  throw new FirebreakError("DAEMON_START_FAILED", `the daemon did not start: ${words || "it did not answer in time"}`, {
    hint: `Its log: ${paths.daemonLog}`,
  });
}

async function spawnDaemon(outputPath: string): Promise<{ exitCode: () => number | undefined }> {
  const output = openSync(outputPath, "w", 0o600);
  const { exited } = await spawnDetached(
    process.execPath,
    [...process.execArgv, ...MEMORY_FLAGS, entryPath("daemon/entry")],
    {
      fds: ["ignore", output, output],
      cwd: "/",
      // Compiled code from the cache spares the daemon the type stripper, which stays in memory once it is loaded.
      // Nor is what we prove who we are with elsewhere any business of the daemon's and of what it starts.
      env: { ...withoutKey(process.env), NODE_COMPILE_CACHE: compileCachePath(), ...MALLOC },
    },
  ).finally(() => closeSync(output));
  let exitCode: number | undefined;
  void exited.then((code) => {
    exitCode = code ?? 1;
  });
  return { exitCode: () => exitCode };
}

function withoutKey({ FIREBREAK_API_KEY: _, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

export function canConnect(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

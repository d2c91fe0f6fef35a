import { closeSync, openSync, readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { compileCachePath } from "../platform/compile-cache.ts";
import { entryPath } from "../platform/package-files.ts";
import { createPaths, type FirebreakPaths } from "../platform/paths.ts";
import { spawnDetached } from "../platform/process.ts";
import { DaemonClient } from "./daemon-client.ts";

/** The daemon allocates little and lives long: a small young generation and one V8 worker save it some 7 MiB. */
const MEMORY_FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=1"];
const START_DEADLINE_MS = 20_000;

/** Resolves when a daemon answers; starts one when none does. Returns whether this call started it. */
export async function ensureDaemon(paths: FirebreakPaths): Promise<boolean> {
  if (await canConnect(paths.socket)) {
    await new DaemonClient(paths.socket).checkVersion();
    return false;
  }
  createPaths(paths);
  const outputPath = `${paths.home}/daemon-start.log`;
  const output = openSync(outputPath, "w", 0o600);
  const { exited } = await spawnDetached(
    process.execPath,
    [...process.execArgv, ...MEMORY_FLAGS, entryPath("daemon/main")],
    {
      fds: ["ignore", output, output],
      cwd: "/",
      // Compiled code from the cache spares the daemon the type stripper, which stays in memory once it is loaded.
      env: { ...process.env, NODE_COMPILE_CACHE: compileCachePath() },
    },
  ).finally(() => closeSync(output));
  let exitCode: number | null | undefined;
  void exited.then((code) => {
    exitCode = code ?? 1;
  });
  const deadline = Date.now() + START_DEADLINE_MS;
  while (Date.now() < deadline) {
    if (await canConnect(paths.socket)) {
      await new DaemonClient(paths.socket).checkVersion();
      return true;
    }
    // Another command may have been quicker: its daemon holds the lock and will answer.
    if (exitCode !== undefined && exitCode !== 4) break;
    await sleep(10);
  }
  const words = readFileSync(outputPath, "utf8").trim().split("\n").slice(-3).join(" | ");
  throw new FirebreakError("DAEMON_START_FAILED", `the daemon did not start: ${words || "it did not answer in time"}`, {
    hint: `Its log: ${paths.daemonLog}`,
  });
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

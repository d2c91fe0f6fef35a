import { closeSync, openSync } from "node:fs";
import { chown, mkdir, symlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { checkSocketPath } from "../../platform/paths.ts";
import { type ProcessIdentity, runCommand, spawnDetached } from "../../platform/process.ts";
import type { MachineConfig } from "../driver.ts";
import { killProcess, readLogTail } from "../vmm-process.ts";
import { FirecrackerApi } from "./api-client.ts";
import { driveFile, FIRECRACKER_FILES, portSocket, rootOf, VSOCK_PORTS } from "./layout.ts";

const API_DEADLINE_MS = 30_000;

export interface FirecrackerProcess {
  identity: ProcessIdentity;
  exited: Promise<number | null>;
  api: FirecrackerApi;
}

/** Makes the VM's runtime folder anew, with links to its drives that nobody but the daemon changes. */
export async function makeRuntimeDir({ runtimeDir, drives }: MachineConfig): Promise<void> {
  for (const name of [FIRECRACKER_FILES.api, FIRECRACKER_FILES.vsock]) checkSocketPath(`${rootOf(runtimeDir)}/${name}`);
  for (const port of Object.values(VSOCK_PORTS)) checkSocketPath(portSocket(runtimeDir, port));
  await removeRuntimeDir(runtimeDir);
  await mkdir(runtimeDir, { recursive: true, mode: 0o700 });
  for (const { serial, path } of drives) await symlink(path, `${runtimeDir}/${driveFile(serial)}`);
}

/** Without a jail, what Firecracker is told of is linked to under names of its own. Returns what starts it. */
export async function makeOpenRoot(
  { vmId, runtimeDir, drives, card }: MachineConfig,
  program: string,
  files: Record<string, string>,
): Promise<string[]> {
  const root = rootOf(runtimeDir);
  await mkdir(root, { mode: 0o700 });
  for (const [name, target] of Object.entries(files)) await symlink(target, `${root}/${name}`);
  for (const { serial, path } of drives) await symlink(path, `${root}/${driveFile(serial)}`);
  const namespace = card?.kind === "tap" ? card.namespace : undefined;
  const within = namespace === undefined ? [] : ["nsenter", `--net=${namespace}`];
  return [...within, program, "--api-sock", `${root}/${FIRECRACKER_FILES.api}`, "--id", vmId];
}

/** What the guest says on its console is read from a pipe, which keeps 64 KiB that nobody reads, and no more. */
export async function makeConsole(runtimeDir: string, uid: number | undefined): Promise<void> {
  const console = `${rootOf(runtimeDir)}/${FIRECRACKER_FILES.console}`;
  await runCommand("mkfifo", ["-m", "600", console]);
  if (uid !== undefined) await chown(console, uid, uid);
}

/** Removes what a hostile VMM may have put things into: rm does not follow links that change under it. */
export async function removeRuntimeDir(runtimeDir: string): Promise<void> {
  await runCommand("rm", ["-rf", "--", runtimeDir]);
}

/** Starts Firecracker, or what makes its jail, detached and waits for its API. Throws VMM_START_FAILED with its last words; then it is gone. */
export async function spawnFirecracker(
  [program = "", ...args]: string[],
  config: MachineConfig,
  signal?: AbortSignal,
): Promise<FirecrackerProcess> {
  const socketPath = `${rootOf(config.runtimeDir)}/${FIRECRACKER_FILES.api}`;
  const log = openSync(config.logPath, "a", 0o600);
  let started: { identity: ProcessIdentity; exited: Promise<number | null> };
  try {
    started = await spawnDetached(program, args, {
      fds: ["ignore", log, log],
      cwd: rootOf(config.runtimeDir),
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C" },
    });
  } finally {
    closeSync(log);
  }
  const api = new FirecrackerApi(socketPath);
  await waitForApi(config, started, api, signal);
  return { ...started, api };
}

async function waitForApi(
  config: MachineConfig,
  started: { identity: ProcessIdentity; exited: Promise<number | null> },
  api: FirecrackerApi,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + API_DEADLINE_MS;
  let hasExited = false;
  void started.exited.then(() => {
    hasExited = true;
  });
  while (!hasExited && Date.now() < deadline && !signal?.aborted) {
    const options = { deadlineMs: API_DEADLINE_MS, ...(signal && { signal }) };
    const isThere = await api.call({ method: "GET", path: "/" }, options).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await sleep(2);
  }
  await killProcess(started.identity);
  if (signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "starting the VM was cancelled");
  const words = await readLogTail(config.logPath);
  throw new FirebreakError(
    "VMM_START_FAILED",
    hasExited ? `Firecracker ended at start: ${words}` : `Firecracker did not open its API socket: ${words}`,
    { hint: "Run 'firebreak doctor'; the whole log is in the VM's folder." },
  );
}

import { closeSync, openSync } from "node:fs";
import { chmod, chown, mkdir, rm, rmdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { agentBinaryPath } from "../../platform/package-files.ts";
import { checkSocketPath } from "../../platform/paths.ts";
import { findProgram, type ProcessIdentity, runCommand, signalProcess, spawnDetached } from "../../platform/process.ts";
import type { MachineConfig } from "../driver.ts";
import { readLogTail } from "../vmm-process.ts";
import {
  buildQemuArgs,
  EXCHANGE_FD,
  type InheritedFds,
  type Launch,
  RECORDER_SOCKET,
  SOCKET_NAMES,
} from "./command-line.ts";
import { QmpClient } from "./qmp.ts";

/** From here on QEMU's descriptors are ours: 0 to 2 are its standard ones. The exchange folder comes first. */
const FIRST_INHERITED_FD = EXCHANGE_FD;
/** QEMU opens it in some 30 ms; a host that swaps, or has much to do, takes its time. */
const QMP_DEADLINE_MS = 30_000;

export interface QemuProcess {
  identity: ProcessIdentity;
  qmp: QmpClient;
  /** The numbers that QEMU knows its descriptors by. */
  fds: InheritedFds & { state?: number };
}

/** Open files of ours that QEMU inherits besides those that it is configured with. */
export interface LentFds {
  memory?: number;
  /** The stream of a saved machine's devices. */
  state?: number;
}

/** What QEMU calls the state that was lent. */
export function stateUri(fds: { state?: number }): string {
  return `fd:${fds.state}`;
}

/** Starts QEMU detached, as an unprivileged user when we are root, and waits for its control socket. */
export async function spawnQemu(
  program: string,
  launch: Launch,
  lent: LentFds = {},
  signal?: AbortSignal,
): Promise<QemuProcess> {
  const { config } = launch;
  for (const name of Object.values(SOCKET_NAMES)) checkSocketPath(`${config.runtimeDir}/${name}`);
  const isRoot = process.getuid?.() === 0;
  await removeRuntimeDir(config.runtimeDir);
  await mkdir(config.runtimeDir, { recursive: true, mode: 0o700 });
  if (isRoot) await chown(config.runtimeDir, config.uid, config.uid);
  const opened: number[] = [];
  const open = (path: string, flags: string) => {
    const fd = openSync(path, flags, 0o600);
    opened.push(fd);
    return fd;
  };
  try {
    const log = open(config.logPath, "a");
    const inherited: number[] = [];
    const inherit = (fd: number) => FIRST_INHERITED_FD + inherited.push(fd) - 1;
    const fds: InheritedFds & { state?: number } = { drives: [] };
    if (config.exchangeDir !== undefined) {
      // Its user may open what we put there, and nothing else.
      await mkdir(config.exchangeDir, { recursive: true, mode: 0o711 });
      inherit(open(config.exchangeDir, "r"));
    }
    if (lent.state !== undefined) fds.state = inherit(lent.state);
    if (lent.memory !== undefined) fds.memory = inherit(lent.memory);
    if (launch.kind === "boot" || launch.kind === "template") {
      fds.kernel = inherit(open(launch.config.kernelPath, "r"));
      fds.initrd = inherit(open(launch.config.initrdPath, "r"));
    }
    fds.drives = config.drives.map((drive) => inherit(open(drive.path, drive.readOnly ? "r" : "r+")));
    fds.attached = (config.attached ?? []).map((drive) => inherit(open(drive.path, drive.readOnly ? "r" : "r+")));
    // Behind all that is inherited: whoever opens it puts it there.
    if (config.card?.kind === "tap") fds.tap = FIRST_INHERITED_FD + inherited.length;
    const command = [program, ...buildQemuArgs(launch, fds)];
    const asUser = isRoot ? await unprivilegedLaunch(command, config, fds.tap) : { command, user: {} };
    const started = await spawnDetached(asUser.command[0] as string, asUser.command.slice(1), {
      fds: ["ignore", log, log, ...inherited],
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", LANG: "C" },
      ...asUser.user,
    });
    const qmp = await waitForControlSocket(config, started, signal);
    // A recorder opens one more socket than it has when it greets us; once it obeys, that is done.
    if (launch.kind === "record") await qmp.execute("query-status");
    // The sockets are bound: from here on a VMM that its guest has taken over cannot put others in their place.
    if (isRoot) {
      await chown(config.runtimeDir, 0, 0);
      await chmod(config.runtimeDir, 0o711);
    }
    return { identity: started.identity, qmp, fds };
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/**
 * How a root daemon starts QEMU without privileges. /dev/kvm is often 0660 root:kvm or 0600 root: where its group does not let the
 * user in, a private node of the same device takes its place in a mount namespace of that QEMU alone.
 */
async function unprivilegedLaunch(
  command: string[],
  config: MachineConfig,
  tap: number | undefined,
): Promise<{ command: string[]; user: { uid?: number; gid?: number } }> {
  const id = String(config.uid);
  const { card } = config;
  // /dev/net/tun is seldom open to others, and a TAP device is opened by its name: that is done as root, and QEMU gets the open device.
  const open = card?.kind === "tap" ? [agentBinaryPath(), "with-tap", card.device, String(tap), "--"] : [];
  if (config.accel !== "kvm") {
    if (open.length === 0) return { command, user: { uid: config.uid, gid: config.uid } };
    const drop = [
      "setpriv",
      "--reuid",
      id,
      "--regid",
      id,
      "--clear-groups",
      "--no-new-privs",
      "--bounding-set",
      "-all",
    ];
    return { command: [...open, ...drop, "--", ...command], user: {} };
  }
  const unshare = await findProgram("unshare");
  if (unshare === undefined) {
    throw new FirebreakError(
      "TOOL_NOT_FOUND",
      "unshare (util-linux) is not installed; it lends /dev/kvm to an unprivileged QEMU",
    );
  }
  const script =
    'mount -t tmpfs -o size=64k,mode=0755 none "$1" && mknod -m 0600 "$1/kvm" c 10 232 && chown "$2:$2" "$1/kvm" && ' +
    'mount --bind "$1/kvm" /dev/kvm && umount -l "$1" && shift && id=$1 && shift && ' +
    'exec setpriv --reuid "$id" --regid "$id" --clear-groups --no-new-privs --bounding-set -all -- "$@"';
  const scratch = `${config.runtimeDir}.dev`;
  await mkdir(scratch, { recursive: true });
  return {
    command: [
      ...open,
      unshare,
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-c",
      script,
      "sh",
      scratch,
      id,
      ...command,
    ],
    user: {},
  };
}

async function waitForControlSocket(
  config: MachineConfig,
  started: { identity: ProcessIdentity; exited: Promise<number | null> },
  signal?: AbortSignal,
): Promise<QmpClient> {
  const path = `${config.runtimeDir}/${SOCKET_NAMES.qmp}`;
  const deadline = Date.now() + QMP_DEADLINE_MS;
  let hasExited = false;
  void started.exited.then(() => {
    hasExited = true;
  });
  while (!hasExited && Date.now() < deadline && !signal?.aborted) {
    const qmp = await QmpClient.connect(path, QMP_DEADLINE_MS).catch(() => undefined);
    if (qmp !== undefined) return qmp;
    await sleep(1);
  }
  await signalProcess(started.identity, "SIGKILL");
  await removeRuntimeDir(config.runtimeDir);
  if (signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "starting the VM was cancelled");
  const words = await readLogTail(config.logPath);
  throw new FirebreakError(
    "VMM_START_FAILED",
    hasExited ? `QEMU ended at start: ${words}` : "QEMU did not open its control socket",
    {
      hint: "Run 'firebreak doctor'; the whole log is in the VM's folder.",
    },
  );
}

/**
 * Its sockets, then the folder. What else is in it was put there by its VMM, whose user a hostile guest may be by now: rm walks that
 * without following links that change under it, which Node's removal does not promise.
 */
export async function removeRuntimeDir(runtimeDir: string): Promise<void> {
  for (const name of [...Object.values(SOCKET_NAMES), RECORDER_SOCKET])
    await rm(`${runtimeDir}/${name}`, { force: true }).catch(() => {});
  const isGone = await rmdir(runtimeDir).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
  if (!isGone) await runCommand("rm", ["-rf", "--", runtimeDir]);
  await rm(`${runtimeDir}.dev`, { recursive: true, force: true });
}

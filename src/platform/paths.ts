import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** sun_path holds 108 bytes with the closing NUL (unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107;

/** Where everything of one firebreak installation lives. */
export interface FirebreakPaths {
  /** $FIREBREAK_HOME, default ~/.firebreak: state that lasts. */
  home: string;
  /** Sockets and pid files: short paths, gone with a reboot. One folder per home. */
  runtime: string;
  socket: string;
  database: string;
  daemonLog: string;
  images: string;
  kernels: string;
  vms: string;
  templates: string;
  snapshots: string;
  drives: string;
  artifacts: string;
  /** What workspaces were at their last sync, and what is on its way. */
  workspaces: string;
  /** Host directories as they were before a sync changed them. */
  backups: string;
  /** What is deleted already, until its blocks have been given back. */
  trash: string;
}

export function resolvePaths(env: NodeJS.ProcessEnv = process.env): FirebreakPaths {
  const home = path.resolve(env.FIREBREAK_HOME || path.join(os.homedir(), ".firebreak"));
  const key = createHash("sha256").update(home).digest("hex").slice(0, 8);
  const runtime = path.join(runtimeBase(env), key);
  return {
    home,
    runtime,
    socket: checkSocketPath(path.join(runtime, "daemon.sock")),
    database: path.join(home, "state.db"),
    daemonLog: path.join(home, "daemon.log"),
    images: path.join(home, "images"),
    kernels: path.join(home, "kernels"),
    vms: path.join(home, "vms"),
    templates: path.join(home, "templates"),
    snapshots: path.join(home, "snapshots"),
    drives: path.join(home, "drives"),
    artifacts: path.join(home, "artifacts"),
    workspaces: path.join(home, "workspaces"),
    backups: path.join(home, "backups"),
    trash: path.join(home, "trash"),
  };
}

function runtimeBase(env: NodeJS.ProcessEnv): string {
  if (env.FIREBREAK_RUNTIME_DIR) return path.resolve(env.FIREBREAK_RUNTIME_DIR);
  if (process.getuid?.() === 0) return "/run/firebreak";
  if (env.XDG_RUNTIME_DIR) return path.join(env.XDG_RUNTIME_DIR, "firebreak");
  return path.join(os.tmpdir(), `firebreak-${process.getuid?.() ?? 0}`);
}

/** Returns the path, or throws SOCKET_PATH_TOO_LONG: the kernel would cut it silently or refuse it with EINVAL. */
export function checkSocketPath(socketPath: string): string {
  const bytes = Buffer.byteLength(socketPath);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new FirebreakError(
      "SOCKET_PATH_TOO_LONG",
      `the socket path ${socketPath} has ${bytes} bytes; ${MAX_SOCKET_PATH_BYTES} is the most`,
      {
        hint: "Set FIREBREAK_RUNTIME_DIR to a shorter directory.",
      },
    );
  }
  return socketPath;
}

/** Makes the folders. The runtime folders admit VMM users to their own sub-folders only (0711). */
export function createPaths(paths: FirebreakPaths): void {
  makeOwnFolder(paths.home, 0o700);
  for (const folder of [
    paths.images,
    paths.kernels,
    paths.vms,
    paths.templates,
    paths.snapshots,
    paths.drives,
    paths.artifacts,
    paths.workspaces,
    paths.backups,
    paths.trash,
  ])
    mkdirSync(folder, { recursive: true });
  const base = path.dirname(paths.runtime);
  for (const folder of [base, paths.runtime, path.join(paths.runtime, "v")]) makeOwnFolder(folder, 0o711);
}

/** Sockets lie in shared places such as /tmp: a folder that somebody else made first could be used to listen in. */
function makeOwnFolder(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { recursive: true, mode });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new FirebreakError("PERMISSION_DENIED", `${folder} cannot be made (${reason})`, {
      cause: error,
      hint: "Set FIREBREAK_HOME and FIREBREAK_RUNTIME_DIR to folders of your own.",
    });
  }
  const info = lstatSync(folder);
  if (!info.isDirectory() || info.uid !== process.getuid?.()) {
    throw new FirebreakError("PERMISSION_DENIED", `${folder} belongs to another user`, {
      hint: "Set FIREBREAK_HOME and FIREBREAK_RUNTIME_DIR to folders of your own.",
    });
  }
  if ((info.mode & 0o777) !== mode) chmodSync(folder, mode);
}

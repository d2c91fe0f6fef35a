import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../../platform/paths.ts";
import { runCommand } from "../../platform/process.ts";

/** What one installation keeps for SSH; readable by its user only. */
export interface SshPaths {
  folder: string;
  config: string;
  privateKey: string;
  /** One file a VM, so that two connections that begin at once do not write the same. */
  knownHosts: string;
}

export function sshPaths(paths: FirebreakPaths): SshPaths {
  const folder = path.join(paths.home, "ssh");
  return {
    folder,
    config: path.join(folder, "config"),
    privateKey: path.join(folder, "id_ed25519"),
    knownHosts: path.join(folder, "known_hosts"),
  };
}

/** Makes the folders and, the first time, the key pair. Returns the public key. Throws TOOL_NOT_FOUND without ssh-keygen. */
export async function ensureKeyPair(paths: SshPaths): Promise<string> {
  await mkdir(paths.knownHosts, { recursive: true, mode: 0o700 });
  if ((await stat(paths.privateKey).catch(() => undefined)) === undefined) await makeKeyPair(paths);
  // Derived rather than kept: a pair of which one half was made by another run cannot come about.
  const { stdout } = await runCommand("ssh-keygen", ["-y", "-f", paths.privateKey]);
  return `${stdout.trim().split(" ").slice(0, 2).join(" ")} firebreak`;
}

async function makeKeyPair(paths: SshPaths): Promise<void> {
  const fresh = `${paths.privateKey}.${process.pid}`;
  await rm(fresh, { force: true });
  await runCommand("ssh-keygen", ["-q", "-N", "", "-C", "firebreak", "-t", "ed25519", "-f", fresh]).catch(
    (error: unknown) => {
      if (!(error instanceof FirebreakError) || error.code !== "TOOL_NOT_FOUND") throw error;
      throw new FirebreakError("TOOL_NOT_FOUND", "ssh-keygen is not installed", {
        hint: "apt-get install openssh-client",
      });
    },
  );
  await rm(`${fresh}.pub`, { force: true });
  await rename(fresh, paths.privateKey);
}

/** What ssh is to take for the VM's host key, from now on. */
export async function writeKnownHost(paths: SshPaths, alias: string, hostKey: string): Promise<void> {
  const target = path.join(paths.knownHosts, alias);
  const fresh = `${target}.${process.pid}.new`;
  await writeFile(fresh, `${alias} ${hostKey}\n`, { mode: 0o600 });
  await rename(fresh, target);
}

/** A file's text; none where there is no file. */
export async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
}

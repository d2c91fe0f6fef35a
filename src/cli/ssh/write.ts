import { copyFile, mkdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { PACKAGE_ROOT } from "../../platform/package-files.ts";
import type { FirebreakPaths } from "../../platform/paths.ts";
import { addInclude, removeInclude, renderConfig } from "./config.ts";
import { ensureKeyPair, readText, sshPaths } from "./keys.ts";

/** What the user's configuration was before we first touched it. */
const BACKUP_SUFFIX = ".before-firebreak";

export function renderOwnConfig(paths: FirebreakPaths, vms: readonly string[]): string {
  const names = ["FIREBREAK_HOME", "FIREBREAK_RUNTIME_DIR"].filter((name) => process.env[name]);
  const env = Object.fromEntries(names.map((name) => [name, path.resolve(process.env[name] as string)]));
  return renderConfig(vms, { paths: sshPaths(paths), program: path.join(PACKAGE_ROOT, "bin", "firebreak"), env });
}

/** The entries in a file of their own, which `vm ssh` uses and the user's configuration includes. Returns its path. */
export async function writeOwnConfig(paths: FirebreakPaths, vms: readonly string[]): Promise<string> {
  const { config, ...rest } = sshPaths(paths);
  await ensureKeyPair({ config, ...rest });
  const text = renderOwnConfig(paths, vms);
  const before = await readText(config);
  // `vm ssh` needs the entry for all VMs only: it leaves alone what ssh-config has written.
  if (before !== text && (vms.length > 0 || !before.endsWith(text))) await replace(config, text, 0o600);
  return config;
}

/** Has the user's configuration include ours; once. Returns the backup where one was made. */
export async function includeInUserConfig(paths: FirebreakPaths): Promise<{ file: string; backup?: string }> {
  return changeUserConfig((text) => addInclude(text, sshPaths(paths).config));
}

/** Takes it out again, and our own file with it. */
export async function removeFromUserConfig(paths: FirebreakPaths): Promise<{ file: string; backup?: string }> {
  const changed = await changeUserConfig((text) => removeInclude(text, sshPaths(paths).config));
  await rm(sshPaths(paths).config, { force: true });
  return changed;
}

async function changeUserConfig(change: (text: string) => string): Promise<{ file: string; backup?: string }> {
  const folder = path.join(os.homedir(), ".ssh");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = path.join(folder, "config");
  // Kept elsewhere and linked to, maybe: the link stays.
  const file = await realpath(name).catch(() => name);
  const before = await readText(file);
  const after = change(before);
  if (after === before) return { file };
  const mode = (await stat(file).catch(() => undefined))?.mode ?? 0o600;
  const backup = `${name}${BACKUP_SUFFIX}`;
  const hasBackup = before !== "" && (await stat(backup).catch(() => undefined)) === undefined;
  if (hasBackup) await copyFile(file, backup);
  await replace(file, after, mode & 0o777);
  return { file, ...(hasBackup ? { backup } : {}) };
}

async function replace(file: string, text: string, mode: number): Promise<void> {
  const fresh = `${file}.${process.pid}.new`;
  await writeFile(fresh, text, { mode });
  await rename(fresh, file);
}

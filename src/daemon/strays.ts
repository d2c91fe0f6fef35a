import { readdir } from "node:fs/promises";
import path from "node:path";
import type { FirebreakPaths } from "../platform/paths.ts";
import { findProcesses, signalProcess } from "../platform/process.ts";
import { removeFolder } from "../platform/remove-folder.ts";

/** What is on the host in a VM's name without a VM in the store. */
export interface Strays {
  folders: string[];
  pids: number[];
}

/** `readVmIds` is asked after the look: a VM is in the store before anything of it is on the host, and may be new. */
export async function findStrays(paths: FirebreakPaths, readVmIds: () => ReadonlySet<string>): Promise<Strays> {
  const listed: { parent: string; name: string }[] = [];
  for (const parent of [paths.vms, path.join(paths.runtime, "v")]) {
    const names = await readdir(parent).catch(() => [] as string[]);
    listed.push(...names.map((name) => ({ parent, name })));
  }
  const vmIds = readVmIds();
  const processes = await findProcesses((argv) => isOurVmm(argv, paths) && !readVmIds().has(vmIdOf(argv, paths) ?? ""));
  return {
    folders: listed
      .filter(({ name }) => !vmIds.has(name.replace(/\.(dev|rec)$/, "")))
      .map(({ parent, name }) => path.join(parent, name)),
    pids: processes.map(({ pid }) => pid),
  };
}

/** A line for each: a folder's path, or a process. */
export function describeStrays({ folders, pids }: Strays): string[] {
  return [...folders, ...pids.map((pid) => `process ${pid}`)];
}

/**
 * Ends and removes them. `killUnrecorded` is the drivers': what runs in a runtime folder is known by that folder alone, which has to be there for it, and what is jailed has
 * folders of its own in it, which only they remove safely.
 */
export async function removeStrays(
  paths: FirebreakPaths,
  readVmIds: () => ReadonlySet<string>,
  killUnrecorded: (runtimeDir: string) => Promise<void>,
): Promise<Strays> {
  const strays = await findStrays(paths, readVmIds);
  const isStray = new Set(strays.pids);
  for (const identity of await findProcesses((argv) => isOurVmm(argv, paths))) {
    if (isStray.has(identity.pid)) await signalProcess(identity, "SIGKILL");
  }
  const runtime = path.join(paths.runtime, "v");
  for (const folder of strays.folders) {
    if (path.dirname(folder) === runtime) await killUnrecorded(folder);
    await removeFolder(folder);
  }
  return strays;
}

function isOurVmm(argv: string[], paths: FirebreakPaths): boolean {
  return argv.some((word) => word.includes(`path=${paths.runtime}/v/`));
}

function vmIdOf(argv: string[], paths: FirebreakPaths): string | undefined {
  const marker = `path=${paths.runtime}/v/`;
  const word = argv.find((candidate) => candidate.includes(marker));
  return word
    ?.slice(word.indexOf(marker) + marker.length)
    .split("/")[0]
    ?.replace(/\.rec$/, "");
}

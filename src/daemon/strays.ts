import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { FirebreakPaths } from "../platform/paths.ts";
import { findProcesses, signalProcess } from "../platform/process.ts";

/** What is on the host in a VM's name without a VM in the store. */
export interface Strays {
  folders: string[];
  pids: number[];
}

export async function findStrays(paths: FirebreakPaths, vmIds: ReadonlySet<string>): Promise<Strays> {
  const folders: string[] = [];
  for (const parent of [paths.vms, path.join(paths.runtime, "v")]) {
    const names = await readdir(parent).catch(() => [] as string[]);
    for (const name of names) if (!vmIds.has(name.replace(/\.(dev|rec)$/, ""))) folders.push(path.join(parent, name));
  }
  const processes = await findProcesses((argv) => isOurVmm(argv, paths) && !vmIds.has(vmIdOf(argv, paths) ?? ""));
  return { folders, pids: processes.map((identity) => identity.pid) };
}

/** Ends and removes them. The caller holds the instance lock: nobody else makes VMs here meanwhile. */
export async function removeStrays(paths: FirebreakPaths, vmIds: ReadonlySet<string>): Promise<Strays> {
  const strays = await findStrays(paths, vmIds);
  const isStray = new Set(strays.pids);
  for (const identity of await findProcesses((argv) => isOurVmm(argv, paths))) {
    if (isStray.has(identity.pid)) await signalProcess(identity, "SIGKILL");
  }
  for (const folder of strays.folders) await rm(folder, { recursive: true, force: true });
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

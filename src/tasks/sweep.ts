import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { TaskStore } from "./task-store.ts";

const TASK_ID = /^[0-9a-f]{12}$/;
const CONTENT = /^[0-9a-f]{64}$/;

/**
 * Removes logs of tasks that are not there, and content that no task has: what is left when a daemon is killed while it deletes a task or fetches its files. Only
 * before any task goes on.
 */
export async function sweepTasks(
  { folder, contentFolder }: { folder: string; contentFolder: string },
  store: Pick<TaskStore, "get" | "unusedOf">,
): Promise<void> {
  for (const name of await namesIn(folder, TASK_ID))
    if (store.get(name) === undefined) await rm(path.join(folder, name), { recursive: true, force: true });
  const digests = (await namesIn(contentFolder, CONTENT)).map((name) => `sha256:${name}`);
  if (digests.length === 0) return;
  for (const digest of store.unusedOf(digests)) await rm(path.join(contentFolder, digest.slice("sha256:".length)));
}

async function namesIn(folder: string, wanted: RegExp): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => wanted.test(name));
}

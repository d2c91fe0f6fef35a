import { rm } from "node:fs/promises";

/** A helper of a daemon that was killed may write a file or two more before it notices: some 0.3 s are plenty. */
const STRAGGLERS = { maxRetries: 6, retryDelay: 20 };

/** Removes a folder with all it holds, also while a straggler still writes to it. One that is not there is no error. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, ...STRAGGLERS });
}

import os from "node:os";
import path from "node:path";

/**
 * Where Node keeps compiled code between runs: a folder of the user's own. Node's default lies in the shared temporary folder,
 * where somebody else could put code first.
 */
export function compileCachePath(env: NodeJS.ProcessEnv = process.env): string {
  return path.join(env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "firebreak", "compile");
}

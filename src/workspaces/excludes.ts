import ignore from "ignore";

/** In the workspace's directory: patterns as in .gitignore. It never comes back from a VM, which would choose what is copied into it. */
export const IGNORE_FILE = ".firebreakignore";

/** Whether a sync sees a path, relative to the workspace. */
export type IsExcluded = (path: string, isFolder: boolean) => boolean;

/** Begins the names of what is not in its place yet (archive/host-tree.ts). */
const TEMPORARY = /(?:^|\/)\.firebreak-tmp-/;

export function createExcludes(patterns: readonly string[], ignoreFile: string): IsExcluded {
  const rules = ignore({ ignorecase: false })
    .add(ignoreFile)
    .add([...patterns]);
  return (path, isFolder) =>
    path === IGNORE_FILE || TEMPORARY.test(path) || rules.ignores(isFolder ? `${path}/` : path);
}

/**
 * Whether a link can lead out of the workspace. `..` counts only at the beginning, where it is above real directories: behind a name it would be above
 * whatever that name leads to.
 */
export function leadsOut(path: string, target: string): boolean {
  if (target.startsWith("/")) return true;
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const firstName = parts.findIndex((part) => part !== "..");
  const ups = firstName < 0 ? parts.length : firstName;
  const depth = path.split("/").length - 1;
  return ups > depth || parts.slice(ups).includes("..");
}

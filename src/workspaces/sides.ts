import type { HostTree } from "../archive/host-tree.ts";
import { MAX_REPORTED, type Resolution, type WorkspaceReport, type WorkspaceSkipped } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { ArchiveTree } from "./archive-tree.ts";
import type { IsExcluded } from "./excludes.ts";
import type { HostScan } from "./host-scan.ts";
import { type MergeResult, mergeTrees, type Winner } from "./merge.ts";
import { type Operation, toChanges } from "./operations.ts";
import { emptyFolder, type TreeFolder } from "./tree.ts";
import type { WorkspaceRecord } from "./workspace-store.ts";

/** What a sync works with. */
export interface Sides {
  directory: string;
  tree: HostTree;
  isExcluded: IsExcluded;
  host: HostScan;
  guest: ArchiveTree;
  base: TreeFolder;
}

/** To push into nothing is how it begins; to pull nothing would delete all. */
export function missingGuest(record: WorkspaceRecord, mustExist: boolean): ArchiveTree {
  if (!mustExist && record.lastPushAt === undefined) return { root: emptyFolder(), skipped: [], partial: new Set() };
  throw new FirebreakError(
    "FILE_NOT_FOUND",
    `${record.guestPath} does not exist in the VM any more; nothing was changed`,
    {
      hint: `Make it again, or detach the workspace: firebreak workspace detach ${record.vmName}`,
    },
  );
}

/** What the receiver is to become. */
export function mergeSides(
  direction: "push" | "pull",
  record: WorkspaceRecord,
  { host, guest, base }: Sides,
  resolution: Resolution | undefined,
): MergeResult {
  const isPush = direction === "push";
  return mergeTrees({
    base,
    receiver: isPush ? guest.root : host.root,
    sender: isPush ? host.root : guest.root,
    winner: toWinner(direction, resolution),
    copyName: (name, isTaken) => nameCopy(name, isPush ? "host" : record.vmName, isTaken),
  });
}

/** `ours` is the host's side, whichever way it goes. */
function toWinner(direction: "push" | "pull", resolution: Resolution | undefined): Winner {
  if (resolution === undefined) return "neither";
  if (resolution === "keep-both") return "both";
  return (resolution === "ours") === (direction === "push") ? "sender" : "receiver";
}

/** `notes.md` of the VM `web` beside the host's: `notes.from-web.md`. */
export function nameCopy(name: string, from: string, isTaken: (name: string) => boolean): string {
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  for (let count = 1; ; count++) {
    const suffix = `.from-${from}${count === 1 ? "" : `-${count}`}`;
    // A name has at most 255 bytes; characters of a long one go from its end.
    let kept = stem;
    while (Buffer.byteLength(kept + suffix + ending) > 255 && kept.length > 0) kept = kept.slice(0, -1);
    const candidate = kept + suffix + ending;
    if (!isTaken(candidate)) return candidate;
  }
}

/** What is told of a sync, done or planned. */
export function toReport(
  direction: "push" | "pull",
  record: WorkspaceRecord,
  { host, guest }: Sides,
  merged: MergeResult,
  operations: Operation[],
  request: { resolve?: Resolution | undefined; dryRun?: boolean | undefined },
): WorkspaceReport {
  const changes = toChanges(operations);
  const count = (kind: string) => changes.filter(({ change }) => change === kind).length;
  const isPush = direction === "push";
  const skipped: WorkspaceSkipped[] = isPush ? [...host.skipped, ...guest.skipped] : guest.skipped;
  const conflicts = merged.conflicts.map(({ path: name, receiver, sender }) => ({
    path: name,
    host: isPush ? sender : receiver,
    vm: isPush ? receiver : sender,
  }));
  return {
    direction,
    isDryRun: request.dryRun ?? false,
    directory: record.directory,
    guestPath: record.guestPath,
    counts: { created: count("created"), updated: count("updated"), deleted: count("deleted") },
    changes: changes.slice(0, MAX_REPORTED),
    conflicts,
    ...(request.resolve === undefined || conflicts.length === 0 ? {} : { resolution: request.resolve }),
    skipped: skipped.slice(0, MAX_REPORTED),
  };
}

/** Of conflicts, one or more. */
export function describeConflicts(count: number): string {
  return count === 1 ? "a conflict was left alone" : `${count} conflicts were left alone`;
}

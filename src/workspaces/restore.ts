import type { HostTree } from "../archive/host-tree.ts";
import type { WorkspaceReport } from "../contract/workspace.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { readArchiveTree } from "./archive-tree.ts";
import { createExcludes } from "./excludes.ts";
import { readIgnoreFile, scanHost } from "./host-scan.ts";
import type { MergeResult } from "./merge.ts";
import { type Operation, planOperations } from "./operations.ts";
import { newRecord } from "./record.ts";
import { type Sides, toReport } from "./sides.ts";
import type { Staging } from "./staging.ts";
import { emptyFolder, hasContent } from "./tree.ts";
import type { WorkspaceRecord } from "./workspace-store.ts";

/** What makes a directory what it was at a backup. Content that it does not have is in `staging` afterwards. */
export async function readBackup(
  { id, archive, vmName }: { id: string; archive: AsyncIterable<Buffer>; vmName: string },
  tree: HostTree,
  directory: string,
  staging: Staging,
  { signal, onProgress }: WorkOptions,
): Promise<{ sides: Sides; record: WorkspaceRecord; operations: Operation[]; report: WorkspaceReport }> {
  const wait = signal === undefined ? {} : { signal };
  const isExcluded = createExcludes([], await readIgnoreFile(tree));
  const limits = { maxEntries: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };
  const host = await scanHost(tree, { isExcluded, maxEntries: limits.maxEntries, ...wait });
  const isWanted = (name: string, sha256: string) => !hasContent(host.root, name, sha256);
  onProgress?.({ step: "restore", message: `reading the backup ${id}` });
  const guest = await readArchiveTree(archive, {
    isExcluded,
    limits,
    base: emptyFolder(),
    isGuests: false,
    staging: { place: staging, isWanted },
    ...wait,
  });
  const operations = planOperations(host.root, guest.root);
  const record = newRecord({ id: "", name: vmName }, { directory });
  const sides = { directory, tree, isExcluded, host, guest, base: emptyFolder() };
  const merged: MergeResult = { result: guest.root, base: emptyFolder(), conflicts: [], copies: new Map() };
  return { sides, record, operations, report: toReport("pull", record, sides, merged, operations, {}) };
}

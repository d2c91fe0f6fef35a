import type { AnyTool } from "../tool.ts";
import { snapshotCreate } from "./snapshot-create.ts";
import { snapshotDelete } from "./snapshot-delete.ts";
import { snapshotFork } from "./snapshot-fork.ts";
import { snapshotGet } from "./snapshot-get.ts";
import { snapshotList } from "./snapshot-list.ts";
import { snapshotRestore } from "./snapshot-restore.ts";

/** What VMs have been saved as. */
export const snapshotTools: readonly AnyTool[] = [
  snapshotCreate,
  snapshotList,
  snapshotGet,
  snapshotRestore,
  snapshotFork,
  snapshotDelete,
];

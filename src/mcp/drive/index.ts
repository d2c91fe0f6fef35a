import type { AnyTool } from "../tool.ts";
import { driveAttach } from "./drive-attach.ts";
import { driveCreate } from "./drive-create.ts";
import { driveDelete } from "./drive-delete.ts";
import { driveDetach } from "./drive-detach.ts";
import { driveGet } from "./drive-get.ts";
import { driveGrow } from "./drive-grow.ts";
import { driveList } from "./drive-list.ts";

/** Drives that VMs are given and lose while they run. */
export const driveTools: readonly AnyTool[] = [
  driveCreate,
  driveList,
  driveGet,
  driveGrow,
  driveAttach,
  driveDetach,
  driveDelete,
];

import type { AnyTool } from "../tool.ts";
import { vmCreate } from "./vm-create.ts";
import { vmDelete } from "./vm-delete.ts";
import { vmFork } from "./vm-fork.ts";
import { vmGet } from "./vm-get.ts";
import { vmList } from "./vm-list.ts";
import { vmPause } from "./vm-pause.ts";
import { vmResume } from "./vm-resume.ts";
import { vmStart } from "./vm-start.ts";
import { vmStop } from "./vm-stop.ts";
import { vmSuspend } from "./vm-suspend.ts";
import { vmUpdate } from "./vm-update.ts";

/** The life of VMs. */
export const vmTools: readonly AnyTool[] = [
  vmCreate,
  vmList,
  vmGet,
  vmUpdate,
  vmStart,
  vmStop,
  vmDelete,
  vmPause,
  vmResume,
  vmSuspend,
  vmFork,
];

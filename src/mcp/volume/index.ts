import type { AnyTool } from "../tool.ts";
import { volumeCreate } from "./volume-create.ts";
import { volumeDelete } from "./volume-delete.ts";
import { volumeGet } from "./volume-get.ts";
import { volumeList } from "./volume-list.ts";

/** Storage that outlives VMs. */
export const volumeTools: readonly AnyTool[] = [volumeCreate, volumeList, volumeGet, volumeDelete];

import type { AnyTool } from "../tool.ts";
import { artifactCreate } from "./artifact-create.ts";
import { artifactDelete } from "./artifact-delete.ts";
import { artifactGet } from "./artifact-get.ts";
import { artifactList } from "./artifact-list.ts";

/** What has been kept of VMs, beyond their life. */
export const artifactTools: readonly AnyTool[] = [artifactCreate, artifactList, artifactGet, artifactDelete];

import type { AnyTool } from "../tool.ts";
import { templateCreate } from "./template-create.ts";
import { templateDelete } from "./template-delete.ts";
import { templateGet } from "./template-get.ts";
import { templateList } from "./template-list.ts";
import { templatePrune } from "./template-prune.ts";

/** What VMs are forked from. */
export const templateTools: readonly AnyTool[] = [
  templateCreate,
  templateList,
  templateGet,
  templateDelete,
  templatePrune,
];

import type { AnyTool } from "../tool.ts";
import { templateList } from "./template-list.ts";
import { templatePrune } from "./template-prune.ts";

/** What VMs are forked from. */
export const templateTools: readonly AnyTool[] = [templateList, templatePrune];

import type { AnyTool } from "../tool.ts";
import { forwardCreate } from "./forward-create.ts";
import { forwardDelete } from "./forward-delete.ts";
import { forwardGet } from "./forward-get.ts";
import { forwardList } from "./forward-list.ts";

/** Ports of this computer that lead into VMs. */
export const forwardTools: readonly AnyTool[] = [forwardCreate, forwardList, forwardGet, forwardDelete];

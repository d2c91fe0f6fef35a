import type { AnyTool } from "../tool.ts";
import { secretDelete } from "./secret-delete.ts";
import { secretGet } from "./secret-get.ts";
import { secretList } from "./secret-list.ts";

/** Secrets, without their values: those are set by people, on the command line. */
export const secretTools: readonly AnyTool[] = [secretList, secretGet, secretDelete];

import type { AnyTool } from "../tool.ts";
import { kernelBuild } from "./kernel-build.ts";
import { kernelDelete } from "./kernel-delete.ts";
import { kernelGet } from "./kernel-get.ts";
import { kernelList } from "./kernel-list.ts";
import { kernelUse } from "./kernel-use.ts";
import { kernelVerify } from "./kernel-verify.ts";

/** What VMs boot with. */
export const kernelTools: readonly AnyTool[] = [
  kernelList,
  kernelGet,
  kernelUse,
  kernelBuild,
  kernelVerify,
  kernelDelete,
];

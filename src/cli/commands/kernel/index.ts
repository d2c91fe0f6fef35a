import type { Command } from "commander";
import { addKernelBuild } from "./build.ts";
import { addKernelDelete } from "./delete.ts";
import { addKernelGet } from "./get.ts";
import { addKernelList } from "./list.ts";
import { addKernelUse } from "./use.ts";
import { addKernelVerify } from "./verify.ts";

export function addKernelCommands(program: Command): void {
  const kernel = program.command("kernel").description("list, build and choose the kernels that VMs boot");
  for (const add of [addKernelList, addKernelGet, addKernelBuild, addKernelUse, addKernelVerify, addKernelDelete])
    add(kernel);
}

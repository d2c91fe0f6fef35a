import type { Command } from "commander";
import { addKernelBuild } from "./build.ts";
import { addKernelList } from "./list.ts";
import { addKernelUse } from "./use.ts";
import { addKernelVerify } from "./verify.ts";

export function addKernelCommands(program: Command): void {
  const kernel = program.command("kernel").description("list, build and choose the kernels that VMs boot");
  for (const add of [addKernelList, addKernelBuild, addKernelUse, addKernelVerify]) add(kernel);
}

import type { Command } from "commander";
import { addVmCp } from "./cp.ts";
import { addVmCreate } from "./create.ts";
import { addVmDelete } from "./delete.ts";
import { addVmExec } from "./exec.ts";
import { addExecControl } from "./exec-control.ts";
import { addVmGet } from "./get.ts";
import { addVmList } from "./list.ts";
import { addVmLogs } from "./logs.ts";
import { addVmStart } from "./start.ts";
import { addVmStop } from "./stop.ts";

export function addVmCommands(program: Command, hasSeparator: boolean): void {
  const vm = program.command("vm").description("create, use and delete VMs");
  for (const add of [addVmCreate, addVmList, addVmGet, addVmStart, addVmStop, addVmDelete]) add(vm);
  addVmExec(vm, hasSeparator);
  addExecControl(vm);
  for (const add of [addVmCp, addVmLogs]) add(vm);
}

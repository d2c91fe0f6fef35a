import type { Command } from "commander";
import { addEventList } from "../event/list.ts";
import { addVmCp } from "./cp.ts";
import { addVmCreate } from "./create.ts";
import { addVmDelete } from "./delete.ts";
import { addVmExec } from "./exec.ts";
import { addExecControl } from "./exec-control.ts";
import { addVmFork } from "./fork.ts";
import { addVmGet } from "./get.ts";
import { addVmList } from "./list.ts";
import { addVmLogs } from "./logs.ts";
import { addVmPause } from "./pause.ts";
import { addVmPlan } from "./plan.ts";
import { addVmPolicy } from "./policy.ts";
import { addVmProbe } from "./probe.ts";
import { addVmResume } from "./resume.ts";
import { addVmSsh, addVmSshProxy } from "./ssh.ts";
import { addVmStart } from "./start.ts";
import { addVmStats } from "./stats.ts";
import { addVmStop } from "./stop.ts";
import { addVmSuspend } from "./suspend.ts";
import { addVmUpdate } from "./update.ts";
import { addVmWait } from "./wait.ts";

export function addVmCommands(program: Command, hasSeparator: boolean): void {
  const vm = program.command("vm").description("create, use, fork and delete VMs");
  for (const add of [addVmCreate, addVmList, addVmGet, addVmStart, addVmStop, addVmDelete]) add(vm);
  for (const add of [addVmPause, addVmResume, addVmSuspend, addVmFork]) add(vm);
  addVmExec(vm, hasSeparator);
  addVmSsh(vm, hasSeparator);
  addVmSshProxy(vm);
  addExecControl(vm);
  for (const add of [addVmCp, addVmLogs, addVmStats, addVmWait, addVmUpdate, addVmPolicy, addVmProbe, addVmPlan])
    add(vm);
  addEventList(vm.command("events").argument("<vm>", "name or id"));
}

import type { Command } from "commander";
import { addEgressLog } from "./log.ts";

export function addEgressCommands(program: Command): void {
  const egress = program.command("egress").description("what VMs try to reach");
  addEgressLog(egress);
}

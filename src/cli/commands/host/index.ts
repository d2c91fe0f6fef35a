import type { Command } from "commander";
import { addHostInfo } from "./info.ts";
import { addHostUsage } from "./usage.ts";

export function addHostCommands(program: Command): void {
  const host = program
    .command("host")
    .description("the machine that runs the VMs: what it has, and what is used of it");
  for (const add of [addHostInfo, addHostUsage]) add(host);
}

import type { Command } from "commander";
import { addAgentGet } from "./get.ts";
import { addAgentList } from "./list.ts";

export function addAgentCommands(program: Command): void {
  const agent = program.command("agent").description("the coding agents that tasks may be given to");
  addAgentList(agent);
  addAgentGet(agent);
}

import type { Command } from "commander";
import { addMcpRun } from "./run.ts";

export function addMcpCommands(program: Command): void {
  addMcpRun(program.command("mcp").description("MCP servers as their clients start them"));
}

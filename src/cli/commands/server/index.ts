import type { Command } from "commander";
import { addServerCheck } from "./check.ts";
import { addServerDelete } from "./delete.ts";
import { addServerGet } from "./get.ts";
import { addServerImport } from "./import.ts";
import { addServerList } from "./list.ts";
import { addServerLogs } from "./logs.ts";
import { addServerStart } from "./start.ts";
import { addServerStop } from "./stop.ts";

export function addServerCommands(program: Command): void {
  const server = program.command("server").description("MCP servers, each in a VM of its own");
  for (const add of [
    ...[addServerImport, addServerCheck, addServerList, addServerGet],
    ...[addServerStart, addServerStop, addServerLogs, addServerDelete],
  ])
    add(server);
}

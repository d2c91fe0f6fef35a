import type { Command } from "commander";
import { addServerApprove } from "./approve.ts";
import { addServerCall } from "./call.ts";
import { addServerCheck } from "./check.ts";
import { addServerDelete } from "./delete.ts";
import { addServerGet } from "./get.ts";
import { addServerImport } from "./import.ts";
import { addServerList } from "./list.ts";
import { addServerLogin } from "./login.ts";
import { addServerLogout } from "./logout.ts";
import { addServerLogs } from "./logs.ts";
import { addServerScan } from "./scan.ts";
import { addServerStart } from "./start.ts";
import { addServerStop } from "./stop.ts";
import { addServerUpdate } from "./update.ts";

export function addServerCommands(program: Command): void {
  const server = program.command("server").description("MCP servers, each in a VM of its own");
  for (const add of [
    ...[addServerImport, addServerCheck, addServerList, addServerGet, addServerScan, addServerApprove],
    ...[
      addServerCall,
      addServerStart,
      addServerStop,
      addServerLogin,
      addServerLogout,
      addServerLogs,
      addServerUpdate,
      addServerDelete,
    ],
  ])
    add(server);
}

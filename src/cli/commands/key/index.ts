import type { Command } from "commander";
import { addKeyCreate } from "./create.ts";
import { addKeyList } from "./list.ts";
import { addKeyRevoke } from "./revoke.ts";

export function addKeyCommands(program: Command): void {
  const key = program.command("key").description("API keys, which callers over TCP need (daemon start --listen)");
  for (const add of [addKeyCreate, addKeyList, addKeyRevoke]) add(key);
}

import type { Command } from "commander";
import { addEventList } from "./list.ts";

export function addEventCommands(program: Command): void {
  const event = program.command("event").description("what has happened to VMs, also to those that are deleted");
  addEventList(event.command("list").alias("ls").argument("[vm]", "name or id; an id also of a deleted VM"));
}

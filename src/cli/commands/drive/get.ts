import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { printDrive } from "./facts.ts";

export function addDriveGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one drive: its size, and which VMs have it.")
    .argument("<drive>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const drive = await client.drives.get(name);
      if (asJson) printJson(drive);
      else printDrive(drive);
    });
}

import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { printDrive } from "../drive/facts.ts";

export function addVolumeGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one volume: its size, and which VMs have it.")
    .argument("<volume>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const volume = await client.volumes.get(name);
      if (asJson) printJson(volume);
      else printDrive(volume);
    });
}

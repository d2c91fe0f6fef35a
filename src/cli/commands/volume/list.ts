import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { printDrives } from "../drive/facts.ts";

export function addVolumeList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all volumes: the drives that have a file system.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const volumes = await client.volumes.list();
      if (asJson) return printJson({ volumes });
      if (volumes.length === 0)
        return void process.stdout.write("No volumes. Make one: firebreak volume create NAME --size 1G\n");
      printDrives(volumes);
    });
}

import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseMib } from "../../parse.ts";

export function addDriveGrow(parent: Command): void {
  const command = parent
    .command("grow")
    .description("Enlarge a drive and its file system, also while a VM uses it. It cannot shrink.")
    .argument("<drive>", "name or id")
    .argument("<size>", "what it is to have, such as 2G")
    .action(async (name: string, size: string) => {
      const { client, asJson, progress } = await openContext(command);
      const drive = await client.drives
        .grow(name, parseMib("<size>", size), { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) printJson(drive);
      else process.stdout.write(`${drive.name} has ${drive.sizeMib} MiB\n`);
    });
}

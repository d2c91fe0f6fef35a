import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseMib } from "../../parse.ts";

export function addVolumeCreate(parent: Command): void {
  const command = parent
    .command("create")
    .description("Make an empty volume: storage with a file system that outlives the VMs that have it.")
    .argument("<name>", "a-z, 0-9 and '-'")
    .option("-s, --size <size>", "such as 512 (MiB) or 2G; it can grow later (default: 64)")
    .action(async (name: string, options: { size?: string }) => {
      const { client, asJson } = await openContext(command);
      const size = options.size === undefined ? {} : { sizeMib: parseMib("--size", options.size) };
      const volume = await client.volumes.create({ name, ...size });
      if (asJson) printJson(volume);
      else process.stdout.write(`${volume.name}\n`);
    });
}

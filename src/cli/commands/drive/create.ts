import type { Command } from "commander";
import { Option } from "commander";
import type { DriveFormat } from "../../../contract/attachment.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseMib } from "../../parse.ts";
import { uploadDrive } from "./upload.ts";

export function addDriveCreate(parent: Command): void {
  const command = parent
    .command("create")
    .summary("make a drive, empty or with a file's or directory's content")
    .description(
      "Make a drive. Empty, it has an ext4 file system; of a directory, one with its files, which become root's; of a file, the file's bytes, such as a disk image. It takes no more of this host's disk than it holds.",
    )
    .argument("<name>", "a-z, 0-9 and '-'")
    .option("-s, --size <size>", "such as 512 (MiB) or 2G (default: 1.5 times the content, at least 64)")
    .option("--from <path>", "a file or directory of this host")
    .addOption(new Option("--format <format>", "of an empty one (default: ext4)").choices(["ext4", "raw"]))
    .action(async (name: string, options: { size?: string; from?: string; format?: DriveFormat }) => {
      if (options.from !== undefined && options.format !== undefined)
        throw new FirebreakError("INVALID_ARGUMENT", "--format is for an empty drive: the content says it otherwise");
      const { client, asJson, progress } = await openContext(command);
      const request = { name, ...(options.size === undefined ? {} : { sizeMib: parseMib("--size", options.size) }) };
      if (options.from !== undefined) progress.update({ step: "drive", message: `making a drive of ${options.from}` });
      const { drive, skipped } = await (options.from === undefined
        ? client.drives
            .create({ ...request, ...(options.format === undefined ? {} : { format: options.format }) })
            .then((made) => ({ drive: made, skipped: [] }))
        : uploadDrive(client, request, options.from)
      ).finally(() => progress.clear());
      for (const left of skipped) process.stderr.write(`left out, it is neither a file nor a directory: ${left}\n`);
      if (asJson) return printJson(drive);
      process.stdout.write(`${drive.name}\n`);
    });
}

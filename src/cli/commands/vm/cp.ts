import type { Command } from "commander";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatBytes, printJson, printSkipped } from "../../output.ts";
import { addLimitOptions, type LimitOptionValues, toLimits } from "../limit-options.ts";

export function addVmCp(parent: Command): void {
  const command = parent
    .command("cp")
    .summary("copy files between this host and a VM")
    .description(
      "Copy a file or a directory between this host and a running VM. One side is VM:PATH with an absolute path.\nA directory that exists already receives the copy inside it.",
    )
    .argument("<source>", "PATH or VM:PATH")
    .argument("<target>", "PATH or VM:PATH");
  addLimitOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  $ firebreak vm cp ./src web:/workspace
  $ firebreak vm cp web:/root/output ./results`,
    )
    .action(async (source: string, target: string, options: LimitOptionValues) => {
      const { copyIn, copyOut, parsePlace } = await import("../../copy.ts");
      const limits = await toLimits(options);
      const from = parsePlace(source);
      const to = parsePlace(target);
      const { client, asJson, progress } = await openContext(command);
      const onBytes = (bytes: number, total: number | undefined) =>
        progress.update({
          step: "copy",
          message: `copied ${formatBytes(bytes)}`,
          ...(total === undefined || total === 0 ? {} : { fraction: bytes / total }),
        });
      let result: import("../../copy.ts").CopyResult;
      if (from.vm === undefined && to.vm !== undefined)
        result = await copyIn(client, from.path, to.vm, to.path, onBytes);
      else if (from.vm !== undefined && to.vm === undefined)
        result = await copyOut(client, from.vm, from.path, to.path, onBytes, limits);
      else {
        throw new FirebreakError("INVALID_ARGUMENT", "exactly one side of a copy is in a VM", {
          hint: "Write it as VM:/PATH; from VM to VM, copy by way of this host.",
        });
      }
      progress.clear();
      if (asJson) printJson(result);
      else {
        process.stderr.write(
          `${formatBytes(result.bytes)} to ${to.vm === undefined ? "" : `${to.vm}:`}${stripControl(result.path)}\n`,
        );
        printSkipped(result.skipped.map((skipped) => ({ path: skipped, why: "no file, directory or link" })));
      }
    });
}

import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { hintOrder } from "./in-order.ts";

export function addDriveDetach(parent: Command): void {
  const command = parent
    .command("detach")
    .summary("take a drive from a VM")
    .description(
      "Take a drive from a VM. It is unmounted and written out first; a drive that something in the guest uses is not taken, and what uses it is named.",
    )
    .argument("<vm>", "name or id")
    .argument("<drive>", "name or id")
    .option("-f, --force", "take it all the same: what uses it gets errors, and what it has not written is lost")
    .action(async (vm: string, drive: string, options: { force?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const detached = await client.drives
        .detach(vm, drive, options.force ?? false, { onProgress: progress.update })
        .catch(async (error: unknown) => Promise.reject(await hintOrder(error, client, { verb: "detach", vm, drive })))
        .finally(() => progress.clear());
      if (asJson) printJson(detached);
      else process.stdout.write(`${detached.drive.name}\n`);
    });
}

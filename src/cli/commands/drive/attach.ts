import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { hintOrder } from "./in-order.ts";

export function addDriveAttach(parent: Command): void {
  const command = parent
    .command("attach")
    .summary("give a VM a drive")
    .description(
      "Give a VM a drive: at once when it runs, with its next start when it is stopped. It keeps it until it is detached. One VM can have a drive to write to; several can have it read-only.",
    )
    .argument("<vm>", "name or id")
    .argument("<drive>", "name or id")
    .option("-p, --path <path>", "mount its file system there in the guest")
    .option("-r, --read-only", "the VM cannot write to it, whatever runs in it")
    .action(async (vm: string, drive: string, options: { path?: string; readOnly?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const request = {
        drive,
        ...(options.path === undefined ? {} : { path: options.path }),
        ...(options.readOnly === undefined ? {} : { readOnly: options.readOnly }),
      };
      const attached = await client.drives
        .attach(vm, request, { onProgress: progress.update })
        .catch(async (error: unknown) => Promise.reject(await hintOrder(error, client, { verb: "attach", vm, drive })))
        .finally(() => progress.clear());
      if (asJson) return printJson(attached);
      const { vm: holder, drive: given, path, device } = attached;
      if (device === undefined) process.stdout.write(`${holder.name} has ${given.name} from its next start on\n`);
      else process.stdout.write(`${given.name} is ${path === undefined ? device : `at ${path}`} in ${holder.name}\n`);
    });
}

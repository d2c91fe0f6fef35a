import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";
import { printWorkspaceAfter } from "../workspace-report.ts";

export function addVmStop(parent: Command): void {
  const command = parent
    .command("stop")
    .description("Stop a VM: its workspace is synced back, its processes get SIGTERM, its disk is synced and stays.")
    .argument("<vm>", "name or id")
    .option("-t, --time <time>", "how long its processes get before SIGKILL (default: 5s)")
    .option("-f, --force", "end the VMM at once; what was not synced is lost, and its workspace does not come back")
    .action(async (name: string, options: { time?: string; force?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const settings = {
        ...(options.time === undefined ? {} : { graceMs: parseDurationMs("--time", options.time) }),
        ...(options.force === undefined ? {} : { force: options.force }),
      };
      const vm = await client.vms.stop(name, settings, { onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) printJson(vm);
      else {
        process.stdout.write(`${vm.name} is ${vm.state}\n`);
        await printWorkspaceAfter(client, (workspace) => workspace.vm.id === vm.id);
      }
    });
}

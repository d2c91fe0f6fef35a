import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";

export function addVmStart(parent: Command): void {
  const command = parent
    .command("start")
    .description(
      "Start a stopped or crashed VM on the disk that it has. A paused or suspended one goes on where it was.",
    )
    .argument("<vm>", "name or id")
    .option("--wait-for-memory <time>", "wait this long for the host's memory instead of failing at once")
    .action(async (name: string, { waitForMemory }: { waitForMemory?: string }) => {
      const wait =
        waitForMemory === undefined ? {} : { admissionWaitMs: parseDurationMs("--wait-for-memory", waitForMemory) };
      const { client, asJson, progress } = await openContext(command);
      const vm = await client.vms.start(name, { ...wait, onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} runs\n`);
    });
}

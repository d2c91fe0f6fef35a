import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatBytes, formatDuration, printJson } from "../../output.ts";

export function addSnapshotCreate(parent: Command): void {
  const command = parent
    .command("create")
    .summary("save a VM as it is now")
    .description(
      "Save a running or paused VM as it is now: memory, processes and disk. The VM stands still for a moment and goes on.",
    )
    .argument("<vm>", "name or id")
    .argument("[name]", "name of the snapshot: a-z, 0-9 and '-'; made up when absent")
    .action(async (vm: string, name: string | undefined) => {
      const { client, asJson, progress } = await openContext(command);
      const snapshot = await client.snapshots
        .create(vm, name, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) return printJson(snapshot);
      process.stdout.write(`${snapshot.name}\n`);
      if (process.stderr.isTTY)
        process.stderr.write(
          `${formatBytes(snapshot.sizeBytes)} are saved; ${snapshot.vm.name} stood still for ${formatDuration(snapshot.stoppedMs)}. A VM that goes on from there: firebreak snapshot fork ${snapshot.name}\n`,
        );
    });
}

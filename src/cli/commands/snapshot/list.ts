import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, formatDuration, printJson, printTable } from "../../output.ts";

export function addSnapshotList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all snapshots.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const snapshots = await client.snapshots.list();
      if (asJson) return printJson({ snapshots });
      if (snapshots.length === 0)
        return void process.stdout.write("No snapshots. Take one of a running VM: firebreak snapshot create VM\n");
      printTable(
        ["NAME", "VM", "IMAGE", "MEMORY", "DISK", "ACCEL", "SIZE", "STOPPED FOR", "AGE"],
        snapshots.map((snapshot) => [
          snapshot.name,
          snapshot.vm.name,
          snapshot.image,
          `${snapshot.memoryMib} MiB`,
          `${snapshot.diskMib} MiB`,
          snapshot.accel,
          formatBytes(snapshot.sizeBytes),
          formatDuration(snapshot.stoppedMs),
          formatAge(snapshot.createdAt),
        ]),
      );
    });
}

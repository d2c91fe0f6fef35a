import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addSnapshotRestore(parent: Command): void {
  const command = parent
    .command("restore")
    .summary("bring a snapshot's VM back as it was; what it is now is lost")
    .description(
      "Bring the VM that a snapshot was taken of back as it was then: memory, processes and disk. What the VM is now is lost, without a question; take another snapshot first to keep it, or use 'snapshot fork' for a second VM. A VM that has been deleted is made again.",
    )
    .argument("<snapshot>", "name or id")
    .action(async (name: string) => {
      const { client, asJson, progress } = await openContext(command);
      const vm = await client.snapshots.restore(name, { onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} runs as it was in ${name}\n`);
    });
}

import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";

export function addVmList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all VMs.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const vms = await client.vmList();
      if (asJson) return printJson({ vms });
      if (vms.length === 0) return void process.stdout.write("No VMs. Create one: firebreak vm create\n");
      printTable(
        ["NAME", "STATE", "IMAGE", "MEMORY", "CPUS", "DISK", "ACCEL", "FROM", "AGE"],
        vms.map((vm) => [
          vm.name,
          vm.state,
          vm.image,
          `${vm.memoryMib} MiB`,
          String(vm.cpus),
          `${vm.diskMib} MiB`,
          vm.accel ?? "-",
          vm.origin,
          formatAge(vm.createdAt),
        ]),
      );
    });
}

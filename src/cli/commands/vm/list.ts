import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";
import { collect } from "../vm-options.ts";

export function addVmList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all VMs, or those that have all the labels asked for.")
    .option("-l, --label <key=value>", "those with this label; KEY alone for any value (repeatable)", collect)
    .action(async ({ label = [] }: { label?: string[] }) => {
      const { client, asJson } = await openContext(command);
      const vms = await client.vms.list({ label });
      if (asJson) return printJson({ vms });
      if (vms.length === 0 && label.length > 0) return void process.stdout.write("No VM has these labels.\n");
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

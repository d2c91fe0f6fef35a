import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";

export function addVmDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete VMs with their disks, running or not.")
    .argument("[vms...]", "names or ids")
    .option("-a, --all", "all VMs")
    .action(async (names: string[], options: { all?: boolean }) => {
      requireTargets("VM", names, options.all);
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.vms.list()).map((vm) => vm.id) : names;
      await deleteEach(targets, (name) => client.vms.delete(name), asJson);
    });
}

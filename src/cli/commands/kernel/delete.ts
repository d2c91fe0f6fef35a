import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach } from "../../delete-each.ts";

export function addKernelDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete kernels. One that new VMs get, or that a VM boots with, is kept.")
    .argument("<ids...>", "ids of 'firebreak kernel list'")
    .action(async (ids: string[]) => {
      const { client, asJson } = await openContext(command);
      await deleteEach(ids, (id) => client.kernels.delete(id), asJson);
    });
}

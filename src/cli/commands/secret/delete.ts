import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach } from "../../delete-each.ts";

export function addSecretDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete secrets. One that a VM may use stays, unless forced: its placeholder then stands for nothing.")
    .argument("<names...>")
    .option("--force", "also those that VMs may use")
    .action(async (names: string[], options: { force?: boolean }) => {
      const { client, asJson } = await openContext(command);
      await deleteEach(names, (name) => client.secrets.delete(name, options.force ?? false), asJson);
    });
}

import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach } from "../../delete-each.ts";

export function addServerDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description(
      "Delete MCP servers with all that was saved of them. Those that are still in their file come back with it.",
    )
    .argument("<servers...>", "names")
    .action(async (names: string[]) => {
      const { client, asJson } = await openContext(command);
      await deleteEach(names, (name) => client.servers.delete(name), asJson);
    });
}

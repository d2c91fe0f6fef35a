import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach } from "../../delete-each.ts";

export function addTemplateDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete templates. The next VM of such a kind makes its template anew.")
    .argument("<ids...>", "ids, as 'template list' shows them")
    .action(async (ids: string[]) => {
      const { client, asJson } = await openContext(command);
      await deleteEach(ids, (id) => client.templates.delete(id), asJson);
    });
}

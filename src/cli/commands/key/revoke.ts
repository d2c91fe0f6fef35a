import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach } from "../../delete-each.ts";

export function addKeyRevoke(parent: Command): void {
  const command = parent
    .command("revoke")
    .description("Revoke API keys: their callers are cut off, and no further request is answered for them.")
    .argument("<keys...>", "names or ids")
    .action(async (names: string[]) => {
      const { client, asJson } = await openContext(command);
      await deleteEach(names, async (name) => ({ deleted: (await client.keys.revoke(name)).name }), asJson);
    });
}

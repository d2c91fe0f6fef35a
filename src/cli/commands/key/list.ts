import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";

export function addKeyList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all API keys; what they are is not kept.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const keys = await client.keys.list();
      if (asJson) return printJson({ keys });
      if (keys.length === 0) return void process.stdout.write("No API keys. Make one: firebreak key create\n");
      printTable(
        ["NAME", "ID", "AGE", "LAST USED", "EXPIRES"],
        keys.map((key) => [
          key.name,
          key.id,
          formatAge(key.createdAt),
          key.lastUsedAt === undefined ? "never" : `${formatAge(key.lastUsedAt)} ago`,
          formatExpiry(key.expiresAt),
        ]),
      );
    });
}

function formatExpiry(expiresAt: string | undefined): string {
  if (expiresAt === undefined) return "-";
  return Date.parse(expiresAt) <= Date.now() ? `expired ${formatAge(expiresAt)} ago` : expiresAt;
}

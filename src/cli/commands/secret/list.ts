import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";

export function addSecretList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List secrets, without their values.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const secrets = await client.secrets.list();
      if (asJson) return printJson({ secrets });
      printTable(
        ["NAME", "HOSTS", "EXPOSE", "SET", "VMS"],
        secrets.map(({ name, hosts, expose, createdAt, rotatedAt, vms }) => [
          name,
          hosts.join(", "),
          expose,
          `${formatAge(rotatedAt ?? createdAt)} ago`,
          vms.join(", "),
        ]),
      );
    });
}

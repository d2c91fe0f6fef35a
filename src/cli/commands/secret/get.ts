import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printFacts, printJson } from "../../output.ts";

export function addSecretGet(parent: Command): void {
  const command = parent
    .command("get")
    .description("Show what is known of a secret. Its value is never shown.")
    .argument("<name>")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const secret = await client.secrets.get(name);
      if (asJson) return printJson(secret);
      printFacts([
        ["name", secret.name],
        ["hosts", secret.hosts.join(", ") || "none"],
        ["in", secret.aws === undefined ? secret.places.join(", ") : "nothing: requests are signed with it"],
        ["AWS key id", secret.aws && `in ${secret.aws.accessKeyId}`],
        ["AWS session token", secret.aws?.sessionToken && `in ${secret.aws.sessionToken}`],
        ["expose", secret.expose === "env" ? "env (VMs have the value itself)" : "proxy"],
        ["placeholder", secret.placeholder],
        ["created", secret.createdAt],
        ["rotated", secret.rotatedAt],
        ["VMs", secret.vms.join(", ") || "none"],
      ]);
    });
}

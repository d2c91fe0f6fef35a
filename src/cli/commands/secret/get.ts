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
      const secret = await client.secretGet(name);
      if (asJson) return printJson(secret);
      printFacts([
        ["name", secret.name],
        ["hosts", secret.hosts.join(", ") || "none"],
        ["in", secret.places.join(", ")],
        ["expose", secret.expose === "env" ? "env (VMs have the value itself)" : "proxy"],
        ["placeholder", secret.placeholder],
        ["created", secret.createdAt],
        ["rotated", secret.rotatedAt],
        ["VMs", secret.vms.join(", ") || "none"],
      ]);
    });
}

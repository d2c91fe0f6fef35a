import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson, printTable } from "../../output.ts";

export function addAgentCommands(program: Command): void {
  const agent = program.command("agent").description("the coding agents that tasks may be given to");
  const command = agent
    .command("list")
    .alias("ls")
    .description("List the agents, with the keys that they need.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const agents = await client.tasks.agents();
      if (asJson) return printJson({ agents });
      printTable(
        ["NAME", "VERSION", "INSTALLED", "KEY", "REACHES"],
        agents.map(({ name, version, isInstalled, secrets, hosts }) => [
          name,
          version ?? "",
          isInstalled === undefined ? "" : isInstalled ? "yes" : "with its first task",
          secrets.map((secret) => `${secret.name}${secret.isSet ? "" : " (not set)"}`).join(" or "),
          hosts.join(" "),
        ]),
      );
    });
}

import type { Command } from "commander";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printFacts, printJson } from "../../output.ts";
import { describeInstalled } from "./list.ts";

export function addAgentGet(parent: Command): void {
  const command = parent
    .command("get")
    .description("Show an agent: its version, the keys of which it needs one, and what it reaches.")
    .argument("<name>")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const agents = await client.tasks.agents();
      const agent = agents.find((one) => one.name === name);
      if (agent === undefined)
        throw new FirebreakError("AGENT_NOT_FOUND", `no agent is named '${name}'`, {
          hint: `There are: ${agents.map((one) => one.name).join(", ")}. One more is a table [agents.NAME] of firebreak.toml.`,
        });
      if (asJson) return printJson(agent);
      const secrets = agent.secrets.map((secret) => `${secret.name} (${secret.isSet ? "set" : "not set"})`);
      printFacts([
        ["name", agent.name],
        ["is", agent.title],
        ["version", agent.version],
        ["installed", describeInstalled(agent)],
        ["key", secrets.length === 0 ? "none needed" : secrets.join(", or ")],
        ["reaches", agent.hosts.join(", ") || "nothing"],
      ]);
    });
}

import type { Command } from "commander";
import type { AgentInfo } from "../../../contract/routes/task.ts";
import { openContext } from "../../context.ts";
import { printJson, printTable } from "../../output.ts";

export function addAgentList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List the agents, and whether they have the keys that they need.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const agents = await client.tasks.agents();
      if (asJson) return printJson({ agents });
      printTable(
        ["NAME", "VERSION", "INSTALLED", "KEY"],
        agents.map((agent) => [agent.name, agent.version ?? "-", describeInstalled(agent), describeKey(agent)]),
      );
    });
}

export function describeInstalled({ isInstalled }: AgentInfo): string {
  if (isInstalled === undefined) return "-";
  return isInstalled ? "yes" : "with its first task";
}

/** Of several keys, one of which is enough, those that are set; the first where none is. */
function describeKey({ secrets }: AgentInfo): string {
  const set = secrets.filter(({ isSet }) => isSet).map(({ name }) => name);
  if (set.length > 0) return set.join(", ");
  const [first, ...others] = secrets;
  if (first === undefined) return "none needed";
  const more = others.length === 0 ? "" : ` or ${others.length} other${others.length === 1 ? "" : "s"}`;
  return `not set: ${first.name}${more}`;
}

import type { Command } from "commander";
import type { UsageSums } from "../../contract/usage.ts";
import { openContext } from "../context.ts";
import { printJson, printTable } from "../output.ts";
import { parseSince } from "../parse.ts";

export function addUsage(program: Command): void {
  const command = program
    .command("usage")
    .description("Print what ended tasks took: tokens, cost, and time of VMs. Tasks that are deleted stay in it.")
    .option("--by <what>", "agent, user, model, day, task, or label:KEY (default: agent)")
    .option("--since <time>", "that ended from then on: a time such as 2026-01-31T12:00, or so long ago, such as 30d")
    .option("--until <time>", "that ended before then")
    .action(async ({ by, since, until }: { by?: string; since?: string; until?: string }) => {
      const query = {
        ...(by === undefined ? {} : { by }),
        ...(since === undefined ? {} : { since: parseSince(since).toISOString() }),
        ...(until === undefined ? {} : { until: parseSince(until, "--until").toISOString() }),
      };
      const { client, asJson } = await openContext(command);
      const usage = await client.tasks.usage(query);
      if (asJson) return printJson(usage);
      if (usage.total.tasks === 0)
        return void process.stdout.write(
          since === undefined && until === undefined ? "No task has ended yet.\n" : "No task ended in that time.\n",
        );
      printTable(
        [usage.by.toUpperCase(), "TASKS", "TOKENS IN", "OUT", "CACHED", "COST USD", "VM SECONDS", "GIB HOURS"],
        [...usage.groups.map((group) => row(group.key ?? "-", group)), row("total", usage.total)],
      );
      const { withoutCost } = usage.total;
      if (withoutCost > 0)
        process.stderr.write(
          `${withoutCost} task${withoutCost === 1 ? "" : "s"} had tokens of no known price: see [model_prices] of firebreak.toml\n`,
        );
    });
}

function row(name: string, { tasks, tokens, costUsd, vmSeconds, memoryMibSeconds }: UsageSums): string[] {
  return [
    name,
    String(tasks),
    String(tokens.input),
    String(tokens.output),
    String(tokens.cacheRead + tokens.cacheWrite),
    costUsd.toFixed(4),
    vmSeconds.toFixed(1),
    (memoryMibSeconds / 1024 / 3600).toFixed(3),
  ];
}

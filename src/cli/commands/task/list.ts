import type { Command } from "commander";
import type { Task, TaskState } from "../../../contract/task.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";
import { parseCount } from "../../parse.ts";
import { collect } from "../vm-options.ts";

interface ListOptions {
  state?: string[];
  agent?: string;
  user?: string;
  label?: string[];
  limit?: string;
}

const WHAT_LENGTH = 60;

/** Its name, or the beginning of what it is asked for. */
function describe({ name, prompt, argv }: Task): string {
  const whole = (name ?? prompt ?? argv?.join(" ") ?? "").trim();
  const line = stripControl(whole.split("\n")[0] ?? "");
  const isWhole = line.length === whole.length && line.length <= WHAT_LENGTH;
  return isWhole ? line : `${line.slice(0, WHAT_LENGTH - 1)}…`;
}

export function addTaskList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List tasks, the newest first.")
    .option(
      "--state <state>",
      "queued, starting, running, collecting, completed, failed, cancelled (repeatable)",
      collect,
    )
    .option("--agent <name>", "of one agent")
    .option("--user <name>", "of one API key")
    .option("-l, --label <key[=value]>", "with this label (repeatable)", collect)
    .option("-n, --limit <n>", "at most so many (default: 100)")
    .action(async ({ state, agent, user, label, limit }: ListOptions) => {
      const { client, asJson } = await openContext(command);
      const tasks = await client.tasks.list({
        ...(agent === undefined ? {} : { agent }),
        ...(user === undefined ? {} : { user }),
        ...(label === undefined ? {} : { label }),
        ...(state === undefined ? {} : { state: state as TaskState[] }),
        ...(limit === undefined ? {} : { limit: parseCount("--limit", limit) }),
      });
      if (asJson) return printJson({ tasks });
      if (tasks.length === 0) return void process.stdout.write('No tasks. Begin one: firebreak task run "PROMPT"\n');
      printTable(
        ["ID", "STATE", "AGENT", "AGE", "COST", "WHAT"],
        tasks.map((task) => [
          task.id,
          task.position === undefined ? task.state : `${task.state} ${task.position}`,
          task.agent,
          formatAge(task.createdAt),
          task.usage?.cost === undefined ? "" : task.usage.cost.usd.toFixed(4),
          describe(task),
        ]),
      );
    });
}

import type { Writable } from "node:stream";
import type { Task } from "../../../contract/task.ts";
import { formatUsd } from "../../../contract/usd.ts";
import { stripLines } from "../../../platform/terminal-text.ts";
import { formatBytes, formatDuration } from "../../output.ts";

const SHOWN_FILES = 20;

/** An agent's last word, or the end of what the task has printed. Unlike its log this is no output passed on, but what is told about it. */
export const tailOf = ({ answer, outputTail }: Task): string => stripLines((answer ?? outputTail ?? "").trimEnd());

/** How a task stands, in few lines. */
export function printTask(task: Task, out: Writable = process.stdout): void {
  const took =
    task.startedAt === undefined
      ? undefined
      : formatDuration(Date.parse(task.endedAt ?? new Date().toISOString()) - Date.parse(task.startedAt));
  const tokens = (task.usage?.tokens ?? []).reduce((sum, { input, output }) => sum + input + output, 0);
  const cost = task.usage?.cost;
  const facts: [string, string | undefined][] = [
    ["task", task.name === undefined ? task.id : `${task.id} (${task.name})`],
    ["state", task.reason === undefined ? task.state : `${task.state}: ${task.reason}`],
    ["hint", task.error?.hint],
    ["agent", task.model === undefined ? task.agent : `${task.agent}, ${task.model}`],
    ["queue", task.position === undefined ? undefined : `number ${task.position}`],
    ["exit code", task.exitCode === undefined ? undefined : String(task.exitCode)],
    ["took", took],
    ["tokens", tokens === 0 ? undefined : String(tokens)],
    ["cost", cost === undefined ? undefined : `${formatUsd(cost.usd)} (${cost.source})`],
    ["vm", task.vm?.name],
    [
      "webhooks",
      task.webhooks
        ?.map(({ host, state, reason }) => `${host} ${state}${reason === undefined ? "" : ` (${reason})`}`)
        .join(", "),
    ],
    ["files", describeFiles(task)],
  ];
  const shown = facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
  const width = Math.max(...shown.map(([label]) => label.length));
  for (const [label, value] of shown)
    out.write(`${label.padEnd(width)}  ${stripLines(value, " ".repeat(width + 2))}\n`);
}

/** A guest may leave thousands. */
function describeFiles({ id, files = [] }: Task): string | undefined {
  if (files.length === 0) return undefined;
  const shown = files.slice(0, SHOWN_FILES).map(({ path, sizeBytes }) => `${path} (${formatBytes(sizeBytes)})`);
  const rest = files.length - shown.length;
  return [...shown, ...(rest > 0 ? [`and ${rest} more: firebreak task files ${id}`] : [])].join(", ");
}

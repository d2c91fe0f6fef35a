import { z } from "zod";
import { TASK_STATES, type Task } from "../../contract/task.ts";
import { FINISH_REASONS } from "../../contract/task-event.ts";

export const taskArgument = z.string().min(1).max(64).describe("Id of the task (list_tasks shows them).");

/** Of a task's files; a guest may leave thousands, and a client has little room. */
const SHOWN_FILES = 50;
const restOf = ({ files = [] }: Task) => Math.max(0, files.length - SHOWN_FILES);

/** A task as tools show it. */
export const taskViewSchema = z.strictObject({
  task_id: z.string(),
  status: z.enum(TASK_STATES),
  reason: z.string().optional().describe("Why it waits, or has ended as it did."),
  finish: z.enum(FINISH_REASONS).optional(),
  agent: z.string(),
  model: z.string().optional(),
  queue_position: z.number().optional(),
  exit_code: z.number().optional(),
  answer: z.string().optional().describe("The agent's own last word."),
  output: z.string().optional().describe("The last 4,000 characters of what it said or printed."),
  result_files: z
    .array(z.strictObject({ path: z.string(), media_type: z.string(), size_bytes: z.number() }))
    .optional()
    .describe(`The first ${SHOWN_FILES}; list_task_files has all. Read them with get_task_file.`),
  more_files: z.number().optional().describe("How many there are besides."),
  cost_usd: z.number().optional(),
  cost_source: z.enum(["reported", "prices"]).optional(),
  input_tokens: z.number().optional(),
  output_tokens: z.number().optional(),
  duration_seconds: z.number().optional(),
  vm: z.string().optional().describe("Its VM, while it is there."),
  created_at: z.string(),
});
export type TaskView = z.infer<typeof taskViewSchema>;

export function toTaskView(task: Task): TaskView {
  const tokens = task.usage?.tokens ?? [];
  const sum = (of: "input" | "output") => tokens.reduce((total, each) => total + each[of], 0);
  const seconds =
    task.startedAt === undefined || task.endedAt === undefined
      ? undefined
      : (Date.parse(task.endedAt) - Date.parse(task.startedAt)) / 1000;
  const view = {
    task_id: task.id,
    status: task.state,
    reason: task.reason,
    finish: task.finish,
    agent: task.agent,
    model: task.model,
    queue_position: task.position,
    exit_code: task.exitCode,
    answer: task.answer,
    output: task.outputTail,
    more_files: restOf(task) || undefined,
    result_files: task.files?.slice(0, SHOWN_FILES).map(({ path, mediaType, sizeBytes }) => ({
      path,
      media_type: mediaType,
      size_bytes: sizeBytes,
    })),
    cost_usd: task.usage?.cost?.usd,
    cost_source: task.usage?.cost?.source,
    input_tokens: tokens.length === 0 ? undefined : sum("input"),
    output_tokens: tokens.length === 0 ? undefined : sum("output"),
    duration_seconds: seconds,
    vm: task.vm?.name,
    created_at: task.createdAt,
  };
  return Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined)) as TaskView;
}

/** For the first line of a text. */
export function factsOf({ id, state, agent, exitCode, reason }: Task): string[] {
  return [
    `task ${id}`,
    agent,
    reason === undefined ? state : `${state}: ${reason}`,
    ...(exitCode === undefined ? [] : [`exit ${exitCode}`]),
  ];
}

/** What it has come to, for reading. */
export function textOf(task: Task): string {
  const files = (task.files ?? []).slice(0, SHOWN_FILES).map(({ path, sizeBytes }) => `${path} (${sizeBytes} bytes)`);
  if (restOf(task) > 0) files.push(`and ${restOf(task)} more`);
  return [task.answer ?? task.outputTail ?? "", ...(files.length === 0 ? [] : [`\nFiles: ${files.join(", ")}`])]
    .join("\n")
    .trim();
}

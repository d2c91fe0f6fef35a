import { z } from "zod";
import { guestPathSchema, outputDirSchema } from "../../contract/guest-path.ts";
import { secretNameSchema } from "../../contract/secret.ts";
import { isEnded, KEEP_VM, MAX_TASK_TIMEOUT_MS, type TaskCreate } from "../../contract/task.ts";
import {
  ACCEL_REQUESTS,
  DRIVER_REQUESTS,
  envSchema,
  labelsSchema,
  MAX_CPUS,
  MAX_DISK_MIB,
  MAX_MEMORY_MIB,
  MIN_DISK_MIB,
  MIN_MEMORY_MIB,
} from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { networkArgument, toPolicy } from "../network/policy-argument.ts";
import { defineTool, type ToolContext } from "../tool.ts";
import { factsOf, taskViewSchema, textOf, toTaskView } from "./task-view.ts";

/** Between two looks at a task that is waited for, ms: each tells the caller how it stands. */
const LOOK_MS = 5_000;

const inputSchema = z.strictObject({
  prompt: z.string().min(1).max(100_000).optional().describe("What the agent is to do. Not with `command`."),
  agent: z
    .string()
    .max(32)
    .default("claude")
    .describe("claude, codex, gemini, opencode, copilot, command, or one of the user's own."),
  command: z.array(z.string()).min(1).max(100).optional().describe("Program and arguments, for the agent `command`."),
  model: z.string().max(200).optional().describe("The agent's model."),
  max_turns: z.int().min(1).max(10_000).optional().describe("Turns of the agent at most."),
  max_cost_usd: z.number().min(0.001).max(100_000).optional().describe("It is stopped when it has cost more."),
  memory_mib: z.int().min(MIN_MEMORY_MIB).max(MAX_MEMORY_MIB).optional().describe("Memory of its VM."),
  cpus: z.int().min(1).max(MAX_CPUS).optional().describe("Virtual CPUs of its VM."),
  disk_mib: z.int().min(MIN_DISK_MIB).max(MAX_DISK_MIB).optional().describe("Writable disk of its VM."),
  image: z.string().max(200).optional().describe("Image of its VM (default: debian)."),
  driver: z.enum(DRIVER_REQUESTS).optional().describe("VMM of its VM (default: what this machine has set)."),
  accel: z.enum(ACCEL_REQUESTS).optional().describe("Accelerator of its VM (default: auto, KVM where it works)."),
  timeout_seconds: z
    .int()
    .min(1)
    .max(MAX_TASK_TIMEOUT_MS / 1000)
    .default(3600)
    .describe("Its work is ended after this."),
  network: networkArgument.optional().describe("What it may reach besides its agent's model (default: nothing)."),
  secrets: z.array(secretNameSchema).max(64).optional().describe("Secrets that it may use, besides its agent's own."),
  env: envSchema.optional().describe("Environment of its work."),
  files: z.record(guestPathSchema, z.string()).optional().describe("Files that it finds: absolute path to text."),
  workspace_dir: z
    .string()
    .max(4095)
    .regex(/^\//, "a workspace's directory is an absolute path")
    .optional()
    .describe("A directory of this machine that it works in a copy of; what it changes there comes back at its end."),
  git_url: z.string().max(2_000).optional().describe("A repository that is cloned for it to work in."),
  git_ref: z.string().max(200).optional().describe("Branch, tag or commit of it."),
  output_dir: outputDirSchema.default("/root/output").describe("What it leaves there is kept: get_task_file."),
  priority: z.int().min(-100).max(100).default(0).describe("Higher ones come first."),
  labels: labelsSchema.optional().describe("For finding it again."),
  keep_vm: z.enum(KEEP_VM).default("never").describe("Whether its VM stays afterwards."),
  wait: z.boolean().default(true).describe("false: return its id at once; get_task_status tells how it stands."),
});

export const runTask = defineTool({
  name: "run_task",
  title: "Run a task",
  description: [
    "Gives a prompt to a coding agent (Claude Code, Codex, Gemini CLI, opencode, Copilot), or runs a command, in a fresh VM of its own with full permissions.",
    "Returns when it has ended, with its answer, exit code, files, tokens and cost. It sees nothing of this machine but workspace_dir, and reaches its model alone, unless network and secrets say more.",
    "Tasks that do not fit at once are queued.",
  ].join(" "),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  isLong: true,
  inputSchema,
  outputSchema: taskViewSchema,
  handler: async (args, context) => {
    const { client, signal } = context;
    const task = await client.tasks.create(toTaskCreate(args), { signal });
    const ended = args.wait ? await follow(task.id, context) : task;
    return { structured: toTaskView(ended), facts: factsOf(ended), text: textOf(ended) };
  },
});

function toTaskCreate(args: z.output<typeof inputSchema>): TaskCreate {
  const request = {
    agent: args.command !== undefined && args.prompt === undefined ? "command" : args.agent,
    prompt: args.prompt,
    argv: args.command,
    model: args.model,
    maxTurns: args.max_turns,
    maxCostUsd: args.max_cost_usd,
    memoryMib: args.memory_mib,
    cpus: args.cpus,
    diskMib: args.disk_mib,
    image: args.image,
    driver: args.driver,
    accel: args.accel,
    timeoutMs: args.timeout_seconds * 1000,
    network: args.network === undefined ? undefined : toPolicy(args.network),
    secrets: args.secrets?.map((name) => ({ name })),
    env: args.env,
    files: args.files,
    workspace: toWorkspace(args),
    outputDir: args.output_dir,
    priority: args.priority,
    labels: args.labels,
    keepVm: args.keep_vm,
  };
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined)) as TaskCreate;
}

function toWorkspace({ workspace_dir: directory, git_url: git, git_ref: ref }: z.output<typeof inputSchema>) {
  if (directory !== undefined && git !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "workspace_dir and git_url cannot both be given");
  if (ref !== undefined && git === undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "git_ref is of a repository, and there is no git_url");
  if (directory !== undefined) return { directory };
  return git === undefined ? undefined : { git, ...(ref === undefined ? {} : { ref }) };
}

/** Until it has ended. A caller who goes away leaves it running: it is queued work, and told by its id. */
async function follow(id: string, { client, signal, onProgress }: ToolContext) {
  for (;;) {
    const task = await client.tasks.wait(id, LOOK_MS, { signal });
    if (isEnded(task.state)) return task;
    const last = (task.outputTail ?? "").trimEnd().split("\n").at(-1) ?? "";
    const place = task.position === undefined ? "" : `, number ${task.position} in the queue`;
    onProgress({
      step: "task",
      message: `task ${id} is ${task.state}${place}${last === "" ? "" : `: ${last.slice(0, 200)}`}`,
    });
  }
}

import { z } from "zod";
import { guestPathSchema, outputDirSchema } from "./guest-path.ts";
import { mountPathSchema } from "./mount-path.ts";
import { egressPolicySchema } from "./policy.ts";
import { secretGrantsSchema, secretNameSchema } from "./secret.ts";
import { costSchema, FINISH_REASONS, tokensSchema } from "./task-event.ts";
import {
  accelRequestSchema,
  driverRequestSchema,
  envSchema,
  labelsSchema,
  MAX_CPUS,
  MAX_DISK_MIB,
  MAX_MEMORY_MIB,
  MIN_DISK_MIB,
  MIN_MEMORY_MIB,
  wordSchema,
} from "./vm.ts";
import { workspaceSpecSchema } from "./workspace.ts";

/** Label of a task's VM, by which it is found again; its value is the task's id. */
export const TASK_LABEL = "firebreak/task";

/** The HTTP API's tasks: work that an agent, or any command, does in a VM of its own. */

/**
 * `starting`: its VM is made, and waits for a place. `collecting`: its work is over, its files are being fetched. The last three are ends.
 */
export const TASK_STATES = ["queued", "starting", "running", "collecting", "completed", "failed", "cancelled"] as const;
export type TaskState = (typeof TASK_STATES)[number];
export const TASK_ENDS = ["completed", "failed", "cancelled"] as const;

/** Which state may follow which; the store refuses any other change. To begin again after a failure of the machine is to be queued. */
export const TASK_TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  queued: ["starting", "failed", "cancelled"],
  starting: ["running", "queued", "failed", "cancelled"],
  running: ["collecting", "queued", "failed", "cancelled"],
  collecting: ["completed", "failed", "cancelled", "queued"],
  completed: [],
  failed: [],
  cancelled: [],
};

export const isEnded = (state: TaskState): boolean => (TASK_ENDS as readonly string[]).includes(state);

/** Of one word of a command line, or of one variable, bytes without the NUL behind it: Linux takes no more (execve(2), MAX_ARG_STRLEN). */
export const MAX_WORD_BYTES = 128 * 1024 - 1;
/** Agents have their prompt as a word. */
export const MAX_PROMPT_BYTES = MAX_WORD_BYTES;
export const DEFAULT_OUTPUT_DIR = "/root/output";
export const DEFAULT_TASK_TIMEOUT_MS = 3600_000;
export const MAX_TASK_TIMEOUT_MS = 7 * 24 * 3600_000;
/** Of a task's output that comes with its result, characters. */
export const OUTPUT_TAIL_LENGTH = 4_000;
export const MAX_FILE_BYTES = 8 * 1024 * 1024;
export const KEEP_VM = ["never", "on-failure", "always"] as const;
export const MAX_PRIORITY = 100;

const count = z.number().int().nonnegative();
const text = (bytes: number, what: string) =>
  z
    .string()
    .min(1, `${what} is empty`)
    .refine((value) => Buffer.byteLength(value) <= bytes, `${what} has more than ${bytes} bytes`)
    .refine((value) => !value.includes("\0"), `${what} holds a NUL`)
    .refine((value) => value.isWellFormed(), `${what} is no Unicode: it has half a pair`);

export const taskFileSchema = z.union([
  z.string().max(MAX_FILE_BYTES),
  z.strictObject({ base64: z.base64().max(Math.ceil(MAX_FILE_BYTES / 3) * 4) }),
]);

/** What a task works on: a directory of this host, synced back at its end, or a commit of a repository. */
export const taskWorkspaceSchema = z.union([
  workspaceSpecSchema,
  z.strictObject({
    git: z
      .url({ protocol: /^(https|ssh)$/, error: "it is a URL with https or ssh: ssh://git@HOST/OWNER/REPO.git" })
      .describe("a repository"),
    ref: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/, "a branch, tag or commit")
      .default("HEAD"),
    guestPath: mountPathSchema.optional(),
  }),
]);

export const taskWebhookSchema = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: "it is a URL with http or https" })
    .max(2_000)
    .refine(
      (url) => !URL.canParse(url) || new URL(url).username + new URL(url).password === "",
      "no user and password",
    ),
  secret: secretNameSchema.optional().describe("name of a secret of the vault that signs what is sent"),
});

export const taskCreateSchema = z
  .strictObject({
    agent: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
      .default("claude")
      .describe("claude, codex, gemini, opencode, copilot, `command`, or one of firebreak.toml"),
    prompt: text(MAX_PROMPT_BYTES, "the prompt").optional(),
    argv: z.array(wordSchema).min(1).max(1_000).optional().describe("the command of the agent `command`"),
    name: z
      .string()
      .regex(
        /^[\w][\w .,:/#()-]{0,99}$/,
        "a name is a letter or digit, and up to 99 of letters, digits, spaces and .,:/#()-_",
      )
      .optional()
      .describe("for people"),
    model: text(200, "a model").optional(),
    maxTurns: z.number().int().min(1, "at least 1").max(10_000, "at most 10000").optional(),
    maxCostUsd: z
      .number()
      .positive("more than nothing")
      .max(100_000, "at most 100000")
      .optional()
      .describe("US dollars; the task is stopped beyond"),
    image: z.string().min(1).max(200).optional(),
    memoryMib: z
      .number()
      .int()
      .min(MIN_MEMORY_MIB, `at least ${MIN_MEMORY_MIB} MiB`)
      .max(MAX_MEMORY_MIB, `at most ${MAX_MEMORY_MIB} MiB`)
      .optional(),
    cpus: z.number().int().min(1, "at least 1").max(MAX_CPUS, `at most ${MAX_CPUS}`).optional(),
    diskMib: z
      .number()
      .int()
      .min(MIN_DISK_MIB, `at least ${MIN_DISK_MIB} MiB`)
      .max(MAX_DISK_MIB, `at most ${MAX_DISK_MIB} MiB`)
      .optional(),
    driver: driverRequestSchema.optional(),
    accel: accelRequestSchema.optional(),
    timeoutMs: z
      .number()
      .int()
      .min(1_000, "at least a second")
      .max(MAX_TASK_TIMEOUT_MS, "at most a week")
      .default(DEFAULT_TASK_TIMEOUT_MS)
      .describe("from the start of its work on"),
    deadlineAt: z.iso.datetime().optional().describe("what has not begun its work by then fails"),
    network: egressPolicySchema.optional().describe("what it may reach besides its agent's model"),
    secrets: secretGrantsSchema.default([]).describe("besides its agent's own"),
    env: envSchema.default({}),
    files: z
      .record(guestPathSchema, taskFileSchema)
      .default({})
      .refine((files) => Object.keys(files).length <= 1_000, "at most 1000 files")
      .describe("absolute path in the VM to content"),
    workspace: taskWorkspaceSchema.optional(),
    cwd: guestPathSchema.optional().describe("the workspace, or /root"),
    outputDir: outputDirSchema.default(DEFAULT_OUTPUT_DIR).describe("what is in it at the end is kept"),
    priority: z.number().int().min(-MAX_PRIORITY).max(MAX_PRIORITY).default(0).describe("higher ones come first"),
    labels: labelsSchema.default({}),
    keepVm: z.enum(KEEP_VM).default("never"),
    maxRetries: z
      .number()
      .int()
      .min(0, "at least 0")
      .max(10, "at most 10")
      .default(1)
      .describe("after failures of the machine below it alone"),
    webhooks: z.array(taskWebhookSchema).max(8).default([]).describe("told of its end"),
  })
  .check((context) => {
    const { agent, prompt, argv } = context.value;
    const fault = (message: string, path: string) =>
      context.issues.push({ code: "custom", message, path: [path], input: context.value });
    if (agent === "command" && argv === undefined) fault("the agent `command` needs a command", "argv");
    if (agent === "command" && prompt !== undefined) fault("the agent `command` takes no prompt", "prompt");
    if (agent !== "command" && argv !== undefined) fault("only the agent `command` takes a command", "argv");
    if (agent !== "command" && prompt === undefined) fault("a prompt is needed", "prompt");
  });
export type TaskCreate = z.input<typeof taskCreateSchema>;
export type TaskRequest = z.output<typeof taskCreateSchema>;

/** Of what a task was asked lists have the beginning, characters and words. */
export const GLANCED = { promptLength: 1_000, words: 20, wordLength: 200 } as const;

export const taskResultFileSchema = z.object({
  path: z.string().describe("below the output directory"),
  mediaType: z.string(),
  sizeBytes: count,
  digest: z.string().describe("sha256:…"),
});
export type TaskFile = z.infer<typeof taskResultFileSchema>;

export const taskUsageSchema = z.object({
  tokens: z.array(tokensSchema),
  cost: costSchema.optional(),
  vmSeconds: z.number().nonnegative(),
  memoryMibSeconds: z.number().nonnegative(),
});
export type TaskUsage = z.infer<typeof taskUsageSchema>;

export const taskSchema = z.object({
  id: z.string(),
  name: z.string().optional(),
  agent: z.string(),
  state: z.enum(TASK_STATES),
  reason: z
    .string()
    .optional()
    .describe("why it waits, what is done before it begins where that takes its time, or why it has ended as it did"),
  finish: z.enum(FINISH_REASONS).optional(),
  error: z
    .object({ code: z.string(), message: z.string(), hint: z.string().optional().describe("what there is to do") })
    .optional(),
  prompt: z.string().optional().describe(`in lists its first ${GLANCED.promptLength} characters`),
  argv: z
    .array(z.string())
    .optional()
    .describe(`in lists its first ${GLANCED.words} words, ${GLANCED.wordLength} characters of each`),
  model: z.string().optional(),
  priority: z.number().int(),
  labels: labelsSchema,
  user: z.string().optional().describe("name of the API key that asked for it; absent: somebody on this host"),
  attempt: count.describe("how often it has been begun"),
  vm: z.object({ id: z.string(), name: z.string() }).optional(),
  position: count.optional().describe("in the queue, from 1"),
  exitCode: z.number().int().optional(),
  answer: z.string().optional().describe("the agent's own last word; of one task alone, not in lists"),
  outputTail: z
    .string()
    .optional()
    .describe(`the last ${OUTPUT_TAIL_LENGTH} characters of what it printed or said; of one task alone`),
  files: z
    .array(taskResultFileSchema)
    .optional()
    .describe("of its output directory, once it has ended; of one task alone"),
  usage: taskUsageSchema.optional(),
  webhooks: z
    .array(
      z.object({
        host: z.string(),
        state: z.enum(["pending", "delivered", "failed"]),
        tries: count,
        reason: z.string().optional().describe("what became of the last try"),
      }),
    )
    .optional()
    .describe("who is told of its end, once it has ended; of one task alone, not in lists"),
  createdAt: z.string(),
  startedAt: z.string().optional().describe("when its work began"),
  endedAt: z.string().optional(),
  keptUntil: z.string().optional().describe("when it is forgotten, once it has ended; of one task alone, not in lists"),
});
export type Task = z.infer<typeof taskSchema>;

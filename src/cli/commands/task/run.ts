import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import type { DaemonClient } from "../../../client/daemon-client.ts";
import { isEnded, KEEP_VM, MAX_PRIORITY, type Task, type TaskCreate } from "../../../contract/task.ts";
import type { Workspace } from "../../../contract/workspace.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseCount, parseDurationMs, parseEnv, parseLabels } from "../../parse.ts";
import type { ProgressLine } from "../../progress.ts";
import { readInput } from "../../read-input.ts";
import { addNetworkOptions, type NetworkOptionValues, toNetwork, withPlaces } from "../network-options.ts";
import { addKindOptions, collect, type KindOptionValues, toKind } from "../vm-options.ts";
import { addWorkspaceOptions, toWorkspace, type WorkspaceOptionValues } from "../workspace-options.ts";
import { findWorkspace, printWorkspaceAfter } from "../workspace-report.ts";
import { printTask, tailOf } from "./describe.ts";
import { followTask, progressOf } from "./follow.ts";
import { printRefusals } from "./refusals.ts";

interface TaskRunOptions extends KindOptionValues, NetworkOptionValues, WorkspaceOptionValues {
  agent?: string;
  wait?: boolean;
  detach?: boolean;
  name?: string;
  model?: string;
  maxTurns?: string;
  maxCost?: string;
  timeout?: string;
  deadline?: string;
  env?: string[];
  file?: string[];
  git?: string;
  cwd?: string;
  outputDir?: string;
  priority?: string;
  label?: string[];
  keepVm?: string;
  retries?: string;
  webhook?: string[];
}

export function addTaskRun(parent: Command, hasSeparator: boolean): void {
  const command = parent
    .command("run")
    .summary("give a prompt to an agent, or run a command, in a VM of its own")
    .description(
      "Queue a task: a prompt for a coding agent, or a command (--agent command, or just -- CMD), in a VM of its own that is deleted afterwards. Its events are printed as they come, and the exit code is 0 when it has completed, or that of the command, or 124 when its time was up. Ctrl-C cancels it; with --detach it goes on by itself. What it leaves in its output directory is kept.",
    )
    .argument("[words...]", "the prompt; - is stdin; or the command, after --")
    .option(
      "--agent <name>",
      "claude, codex, gemini, opencode, copilot, command, or one of firebreak.toml (default: claude)",
    );
  addWorkspaceOptions(addNetworkOptions(addKindOptions(command, "512; of built-in agents 1024")))
    .option("--wait", "wait for its end and print its answer, or the end of its output, in the place of its events")
    .option("--detach", "print its id and return at once")
    .option("--name <text>", "a name for people")
    .option("--model <name>", "the agent's model")
    .option("--max-turns <n>", "turns of the agent at most")
    .option("--max-cost <usd>", "stop it when it has cost more than so many US dollars")
    .option("-t, --timeout <time>", "end its work after this time, such as 30m (default: 1h)")
    .option("--deadline <time>", "fail if it has not begun after this time, such as 2h")
    .option("-e, --env <name=value>", "environment; NAME alone passes this shell's value on (repeatable)", collect)
    .option("--file <host[:guest]>", "a file of this host that it finds at /root/NAME, or there (repeatable)", collect)
    .option("--git <url[#ref]>", "a repository that is cloned for it to work in")
    .option("-w, --cwd <dir>", "where it works in the VM (default: the workspace, or /root)")
    .option("--output-dir <dir>", "what is in it at the end is kept (default: /root/output)")
    .option("--priority <n>", "-100 to 100; higher ones come first (default: 0)")
    .option("-l, --label <key=value>", "a label (repeatable)", collect)
    .option("--keep-vm <when>", `${KEEP_VM.join(", ")} (default: never)`)
    .option("--retries <n>", "begin again after failures of the machine below it at most so often (default: 1)")
    .option(
      "--webhook <url[#secret]>",
      "POST its end to this address, signed with this secret of the vault (repeatable)",
      collect,
    )
    .action(async (words: string[], options: TaskRunOptions) => {
      const { client, asJson, progress } = await openContext(command);
      const request = await toTaskCreate(words, options, hasSeparator, client);
      const task = await withPlaces(options, () => client.tasks.create(request));
      if (options.detach) return asJson ? printJson(task) : void process.stdout.write(`${task.id}\n`);
      const stop = cancelOnInterrupt(client, task.id);
      let ended: Task;
      try {
        if (asJson || options.wait) {
          progress.update(progressOf(task));
          ended = await waitForEnd(client, task.id, progress);
          progress.clear();
        } else ended = await followTask(client, task.id, progress);
      } finally {
        stop();
      }
      const isMeant = isWorkspaceOf(ended);
      if (asJson) {
        const workspace = options.workspace === undefined ? undefined : await findWorkspace(client, isMeant);
        printJson(workspace === undefined ? ended : { ...ended, workspace });
      } else {
        const tail = options.wait ? tailOf(ended) : "";
        if (tail !== "") process.stdout.write(`${tail}\n`);
        printTask(ended, process.stderr);
        await printRefusals(client, ended);
        if (options.workspace !== undefined) await printWorkspaceAfter(client, isMeant);
      }
      process.exitCode = exitCodeOf(ended);
    });
}

/** A task in the terms of its options. */
async function toTaskCreate(
  words: string[],
  options: TaskRunOptions,
  hasSeparator: boolean,
  client: DaemonClient,
): Promise<TaskCreate> {
  if (options.wait && options.detach)
    throw new FirebreakError("INVALID_ARGUMENT", "--wait and --detach cannot both be given");
  const isCommand = options.agent === "command" || (options.agent === undefined && hasSeparator);
  const number = (flag: string, text: string | undefined) => (text === undefined ? undefined : parseCount(flag, text));
  const workspace = await toWorkspace(options);
  if (workspace !== undefined && options.git !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "--workspace and --git cannot both be given");
  const { policy: _policy, ...rest } = { policy: undefined, ...(await toNetwork(options, client)) };
  return dropUndefined({
    ...rest,
    ...(isCommand
      ? { agent: "command", argv: toCommand(words, hasSeparator) }
      : { agent: options.agent, prompt: await toPrompt(words) }),
    name: options.name,
    model: options.model,
    maxTurns: number("--max-turns", options.maxTurns),
    maxCostUsd: options.maxCost === undefined ? undefined : parseDollars("--max-cost", options.maxCost),
    ...toKind(options),
    timeoutMs: options.timeout === undefined ? undefined : parseDurationMs("--timeout", options.timeout),
    deadlineAt:
      options.deadline === undefined
        ? undefined
        : new Date(Date.now() + parseDurationMs("--deadline", options.deadline)).toISOString(),
    env: options.env === undefined ? undefined : parseEnv(options.env),
    files: await readFiles(options.file ?? []),
    workspace: workspace ?? toGit(options.git),
    cwd: options.cwd,
    outputDir: options.outputDir,
    priority: options.priority === undefined ? undefined : parsePriority(options.priority),
    labels: options.label === undefined ? undefined : parseLabels(options.label),
    keepVm: options.keepVm === undefined ? undefined : parseKeepVm(options.keepVm),
    maxRetries: number("--retries", options.retries),
    webhooks: options.webhook?.map(toWebhook),
  }) as TaskCreate;
}

/** Without `--` the command's own options would be taken for those of the task. */
function toCommand(words: string[], hasSeparator: boolean): string[] {
  if (words.length > 0 && hasSeparator) return words;
  if (words.length > 0)
    throw new FirebreakError("INVALID_ARGUMENT", "a command stands behind --", {
      hint: `firebreak task run -- ${words.join(" ")}`,
    });
  throw new FirebreakError("INVALID_ARGUMENT", "a command is missing", { hint: "firebreak task run -- make test" });
}

function parseDollars(flag: string, text: string): number {
  if (/^\d{1,6}(\.\d{1,6})?$/.test(text) && Number(text) > 0) return Number(text);
  throw new FirebreakError("INVALID_ARGUMENT", `${flag}: '${text}' is not an amount of US dollars, such as 2.50`);
}

function parsePriority(text: string): number {
  if (/^-?\d{1,3}$/.test(text) && Math.abs(Number(text)) <= MAX_PRIORITY) return Number(text);
  const range = `-${MAX_PRIORITY} to ${MAX_PRIORITY}`;
  throw new FirebreakError("INVALID_ARGUMENT", `--priority: '${text}' is not a whole number from ${range}`);
}

function parseKeepVm(text: string): string {
  if ((KEEP_VM as readonly string[]).includes(text)) return text;
  throw new FirebreakError("INVALID_ARGUMENT", `--keep-vm: '${text}' is not one of ${KEEP_VM.join(", ")}`);
}

async function toPrompt(words: string[]): Promise<string> {
  const text = words.length === 1 && words[0] === "-" ? (await readInput("-")).toString() : words.join(" ");
  if (text.trim() !== "") return text;
  throw new FirebreakError("INVALID_ARGUMENT", "a prompt is missing", {
    hint: 'firebreak task run "Fix the failing test" --workspace .   or a command: firebreak task run -- make test',
  });
}

async function readFiles(specs: readonly string[]): Promise<Record<string, { base64: string }>> {
  const files: Record<string, { base64: string }> = {};
  for (const spec of specs) {
    const at = spec.lastIndexOf(":/");
    const [host, guest] = at > 0 ? [spec.slice(0, at), spec.slice(at + 1)] : [spec, `/root/${path.basename(spec)}`];
    const content = await readFile(host).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EISDIR")
        throw new FirebreakError("INVALID_ARGUMENT", `--file: ${host} is a directory`, {
          hint: "A directory is given as a workspace: --workspace DIR, or DIR:ro",
        });
      throw new FirebreakError("HOST_PATH_NOT_FOUND", `--file: ${host} cannot be read (${error.code})`);
    });
    files[guest] = { base64: content.toString("base64") };
  }
  return files;
}

function toGit(text: string | undefined): { git: string; ref?: string } | undefined {
  if (text === undefined) return undefined;
  const at = text.lastIndexOf("#");
  return at < 0 ? { git: text } : { git: text.slice(0, at), ref: text.slice(at + 1) };
}

function toWebhook(text: string): { url: string; secret?: string } {
  const at = text.lastIndexOf("#");
  return at < 0 ? { url: text } : { url: text.slice(0, at), secret: text.slice(at + 1) };
}

/** That of the VM of its last attempt, which is gone by its end. */
export function isWorkspaceOf({ id, attempt }: Task): (workspace: Workspace) => boolean {
  return ({ vm }) => vm.name === `task-${id}-${attempt}`;
}

/** Waits as long as it takes, in requests that end. */
export async function waitForEnd(client: DaemonClient, id: string, progress: ProgressLine): Promise<Task> {
  for (;;) {
    const task = await client.tasks.wait(id, 2_000);
    if (isEnded(task.state)) return task;
    progress.update(progressOf(task));
  }
}

/** The first Ctrl-C ends the task; the second one ends us. */
function cancelOnInterrupt(client: DaemonClient, id: string): () => void {
  const onSignal = () => {
    process.stderr.write(`\nfirebreak: task ${id} is being cancelled; Ctrl-C once more does not wait for that\n`);
    void client.tasks.cancel(id).catch(() => {});
  };
  process.once("SIGINT", onSignal);
  return () => void process.off("SIGINT", onSignal);
}

/** A command's own exit code is its task's; one that has run out of time ends as `timeout` does. */
export function exitCodeOf({ state, finish, agent, exitCode }: Task): number {
  if (state === "completed") return 0;
  if (state === "cancelled") return 130;
  if (finish === "timeout") return 124;
  return agent === "command" && exitCode !== undefined && exitCode > 0 ? exitCode : 1;
}

function dropUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

import { randomBytes } from "node:crypto";
import { z } from "zod";
import { type ExecRequest, envSchema } from "../../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { defineTool, type ToolContext } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import type { GuestExec } from "../vm-client.ts";
import { startInBackground } from "./background.ts";
import { endOnAbort } from "./exec-end.ts";
import { type CapturedOutput, OutputCapture } from "./output-capture.ts";
import { type FinishedRun, reportRun, runReportSchema } from "./run-report.ts";
import {
  MAX_SAVED_BYTES,
  MAX_SAVED_TOTAL_BYTES,
  openSavedOutput,
  pruneSavedOutput,
  SAVED_OUTPUT_DIR,
} from "./saved-output.ts";

const DEFAULT_TIMEOUT_MS = 120_000;
const MAX_TIMEOUT_MS = 24 * 3_600_000;
const DEFAULT_OUTPUT_BYTES = 64 * 1024;
const MAX_OUTPUT_BYTES = 1024 * 1024;
/** A caller that waits hears of a long command this often, ms. */
const PROGRESS_INTERVAL_MS = 5_000;
const MIB = 1024 * 1024;

const inputSchema = z.strictObject({
  vm: vmArgument,
  command: z.string().min(1).optional().describe("Shell command line, run by 'sh -c' in the VM. Either this or argv."),
  argv: z
    .array(z.string())
    .min(1)
    .max(65_536)
    .optional()
    .describe("Program and arguments, run without a shell. Either this or command."),
  cwd: z
    .string()
    .regex(/^\//, "a working directory is an absolute path in the VM")
    .optional()
    .describe("Working directory in the VM, absolute (default: the user's home)."),
  env: envSchema.optional().describe("Environment variables, besides those of the VM."),
  user: z
    .string()
    .regex(
      /^[A-Za-z0-9._-]{1,64}(:[A-Za-z0-9._-]{1,64})?$/,
      "a user is NAME or UID, with :GROUP or :GID behind it if need be",
    )
    .optional()
    .describe("User in the VM: NAME or UID, with :GROUP or :GID (default: root)."),
  stdin: z.string().optional().describe("Text for the command's standard input (default: none; it reads end of file)."),
  timeout_ms: z
    .int()
    .min(1)
    .max(MAX_TIMEOUT_MS)
    .optional()
    .describe(
      `The command and its process group are ended after this time (default: ${DEFAULT_TIMEOUT_MS}; in the background: never).`,
    ),
  max_output_bytes: z
    .int()
    .min(1024)
    .max(MAX_OUTPUT_BYTES)
    .default(DEFAULT_OUTPUT_BYTES)
    .describe("How much of each stream the answer carries."),
  background: z.boolean().default(false).describe("Return at once, with exec_id; the command goes on."),
  keep_stdin: z.boolean().default(false).describe("In the background: leave its input open for command_input."),
});
type Arguments = z.output<typeof inputSchema>;

export const runCommand = defineTool({
  name: "run_command",
  title: "Run a command in a VM",
  description: [
    "Runs a command inside a VM (never on this machine) and returns exit code, stdout and stderr. The VM reaches what its network policy allows, by default nothing. A non-zero exit code is a result, not an error.",
    `Of a stream longer than max_output_bytes the answer has start and end and states the cut (of output that is not text: only the start). The stream from its start, up to ${MAX_SAVED_BYTES / MIB} MiB, is then a file in the VM below ${SAVED_OUTPUT_DIR}, named in the answer: file_read with offset reads the rest. The newest ${MAX_SAVED_TOTAL_BYTES / MIB} MiB of such files are kept.`,
    "The call returns when the command itself ends: a child left in the background goes on without holding it up. With background: true it returns at once; command_output, command_status, command_input and command_kill go on from there.",
    "Cancelling the call, or its timeout, ends the command with its process group.",
  ].join(" "),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema,
  outputSchema: runReportSchema,
  handler: async (args, context) => {
    const { client, signal } = context;
    const spec = toExecRequest(args);
    if (signal.aborted) throw canceled(signal.reason);
    if (args.background) {
      const { name } = await client.vms.get(args.vm, { signal });
      return startInBackground(name, spec, args.stdin, args.keep_stdin, context);
    }
    // Without the signal: endOnAbort knows when hanging up is of use.
    const exec = await client.execs.start(args.vm, spec, { onProgress: context.onProgress });
    const release = endOnAbort(exec, signal, () => void sendStdin(exec, args.stdin));
    try {
      const run = await collect(exec.vmName ?? args.vm, exec, args, context);
      if (signal.aborted) throw canceled(signal.reason);
      return reportRun(run);
    } catch (error) {
      throw signal.aborted ? canceled(error) : error;
    } finally {
      release();
    }
  },
});

function canceled(cause: unknown): FirebreakError {
  return new FirebreakError("OPERATION_CANCELED", "the call was given up; the command has been ended", { cause });
}

function toExecRequest(args: Arguments): ExecRequest {
  if ((args.command === undefined) === (args.argv === undefined)) {
    throw new FirebreakError("INVALID_ARGUMENT", "run_command: exactly one of 'command' and 'argv' is needed", {
      hint: "command is a shell command line, argv a program with its arguments.",
    });
  }
  if (args.keep_stdin && !args.background) {
    throw new FirebreakError("INVALID_ARGUMENT", "run_command: 'keep_stdin' is for a command in the background");
  }
  return {
    argv: args.argv ?? ["/bin/sh", "-c", args.command ?? ""],
    ...(args.background ? {} : { timeoutMs: DEFAULT_TIMEOUT_MS }),
    ...(args.timeout_ms === undefined ? {} : { timeoutMs: args.timeout_ms }),
    stdin: args.stdin !== undefined || args.keep_stdin,
    ...(args.cwd === undefined ? {} : { cwd: args.cwd }),
    ...(args.env === undefined ? {} : { env: args.env }),
    ...(args.user === undefined ? {} : { user: args.user }),
  };
}

async function collect(vm: string, exec: GuestExec, args: Arguments, context: ToolContext): Promise<FinishedRun> {
  const { client, signal } = context;
  // Ids of execs begin anew with each start of a VM, files stay: part of the name is ours.
  const token = randomBytes(4).toString("hex");
  const capture = (name: string) =>
    new OutputCapture({
      capBytes: args.max_output_bytes,
      maxSavedBytes: MAX_SAVED_BYTES,
      openSink: () => {
        const path = `${SAVED_OUTPUT_DIR}/${safeName(exec.started?.id)}-${token}.${name}`;
        return openSavedOutput({ client, vm, path, signal });
      },
    });
  const streams = { stdout: capture("stdout"), stderr: capture("stderr") };
  const stopTelling = tellProgress(context.onProgress, () => streams.stdout.totalBytes + streams.stderr.totalBytes);
  let skippedBytes = 0;
  try {
    for await (const output of exec.output()) {
      if (output.type === "skipped") skippedBytes += output.bytes;
      else await streams[output.type].push(output.bytes);
    }
  } catch (error) {
    throw withOutput(toFirebreakError(error), await streams.stdout.finish(), await streams.stderr.finish());
  } finally {
    stopTelling();
  }
  if (exec.exit === undefined) {
    throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended before the command did");
  }
  const [stdout, stderr] = await Promise.all([streams.stdout.finish(), streams.stderr.finish()]);
  if (stdout.cut !== undefined || stderr.cut !== undefined) await pruneSavedOutput(client, vm, signal);
  return { vm, execId: exec.started?.id ?? "", exit: exec.exit, stdout, stderr, skippedBytes };
}

/** A failure, with what the command had written until then. */
function withOutput(error: FirebreakError, stdout: CapturedOutput, stderr: CapturedOutput): FirebreakError {
  if (stdout.totalBytes + stderr.totalBytes === 0) return error;
  const partialOutput = { stdout: stdout.content, stderr: stderr.content };
  const options = { ...(error.hint === undefined ? {} : { hint: error.hint }), cause: error };
  return new FirebreakError(error.code, error.message, { ...options, details: { ...error.details, partialOutput } });
}

/** The guest made the id up: it becomes part of a path only when it has the form of one. */
function safeName(id: string | undefined): string {
  return id !== undefined && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : "exec";
}

function tellProgress(onProgress: ToolContext["onProgress"], countBytes: () => number): () => void {
  const startedMs = performance.now();
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    onProgress({ step: `run ${seconds}`, message: `running for ${seconds} s, ${countBytes()} bytes of output` });
  }, PROGRESS_INTERVAL_MS);
  return () => clearInterval(timer);
}

async function sendStdin(exec: GuestExec, stdin: string | undefined): Promise<void> {
  if (stdin === undefined) return;
  if (stdin !== "") await exec.writeStdin(Buffer.from(stdin));
  exec.endStdin();
}

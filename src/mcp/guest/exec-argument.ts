import { z } from "zod";
import type { ExecInfo } from "../../guest/protocol.ts";

/** Which command a call is about. */
export const execArgument = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "an exec id is made of letters, digits, '_' and '-'")
  .describe("exec_id of the command (run_command gave it, command_list shows it).");

/** A command as tools show it. */
export const execViewSchema = z.strictObject({
  exec_id: z.string(),
  argv: z.array(z.string()).describe("What was started; long ones are cut."),
  state: z.enum(["running", "exited", "signaled", "timed_out"]),
  exit_code: z.int().optional(),
  signal: z.string().optional(),
  started_at: z.string(),
  duration_ms: z.number().optional(),
  output_bytes: z.int().describe("All that it has written so far, stdout and stderr."),
  kept_from: z.int().describe("Offset from which on the VM still has its output."),
});
type ExecView = z.infer<typeof execViewSchema>;

/** Of a command line; the rest tells no commands apart. */
const MAX_ARGV_CHARS = 500;

export function toExecView(exec: ExecInfo): ExecView {
  const { exit } = exec;
  return {
    exec_id: exec.id,
    argv: cutArgv(exec.argv),
    state: stateOf(exec),
    ...(exit?.exitCode === undefined || exit.exitCode === null ? {} : { exit_code: exit.exitCode }),
    ...(exit?.signal === undefined || exit.signal === null ? {} : { signal: exit.signal }),
    started_at: new Date(Math.min(exec.startedAtMs, MAX_DATE_MS)).toISOString(),
    ...(exit === null ? {} : { duration_ms: exit.durationMs }),
    output_bytes: exec.outputBytes,
    kept_from: exec.spooledFrom,
  };
}

/** The last moment that a Date holds; the guest's clock is the guest's. */
const MAX_DATE_MS = 8.64e15;

function stateOf({ exit }: ExecInfo): ExecView["state"] {
  if (exit === null) return "running";
  if (exit.timedOut) return "timed_out";
  return exit.exitCode === null ? "signaled" : "exited";
}

function cutArgv(argv: string[]): string[] {
  const cut: string[] = [];
  let left = MAX_ARGV_CHARS;
  for (const word of argv) {
    if (left <= 0) return [...cut, "…"];
    cut.push(word.length > left ? `${word.slice(0, left)}…` : word);
    left -= word.length;
  }
  return cut;
}

/** One line a command. */
export function describeExec(exec: ExecInfo): string {
  const { state, exit_code, signal, argv, output_bytes } = toExecView(exec);
  const end = exit_code === undefined ? (signal === undefined ? "" : ` by ${signal}`) : ` with ${exit_code}`;
  // A newline in a command line would look like another command.
  return `${exec.id}: ${state}${end}, ${output_bytes} bytes of output: ${JSON.stringify(argv.join(" "))}`;
}

import { z } from "zod";
import type { ExecExit } from "../../guest/protocol.ts";
import type { ToolOutput } from "../tool.ts";
import { type CapturedOutput, describeCut, type OutputCut } from "./output-capture.ts";

const encodingSchema = z.enum(["text", "base64"]).describe("base64 when the bytes are no UTF-8 text.");
const bytesSchema = z.int().describe("All that the command wrote.");
const cutSchema = z.strictObject({
  bytes: z.int().describe("Bytes left out of the answer."),
  offset: z.int().describe("Where in the stream they begin."),
  path: z.string().optional().describe("File in the VM with the stream from its start; absent: could not be saved."),
  saved_bytes: z.int().optional().describe("How much of the stream, from its start, the file holds."),
});

export const runReportSchema = z.strictObject({
  vm: z.string(),
  exec_id: z.string().describe("For the command_ tools."),
  status: z.enum(["exited", "signaled", "timed_out", "running"]),
  exit_code: z.int().optional().describe("Absent when a signal ended the command."),
  signal: z.string().optional(),
  duration_ms: z.number().optional(),
  stdout: z.string().optional(),
  stdout_encoding: encodingSchema.optional(),
  stdout_bytes: bytesSchema.optional(),
  stdout_cut: cutSchema.optional(),
  stderr: z.string().optional(),
  stderr_encoding: encodingSchema.optional(),
  stderr_bytes: bytesSchema.optional(),
  stderr_cut: cutSchema.optional(),
});
export type RunReport = z.input<typeof runReportSchema>;

/** How a command in a VM has ended, and what it wrote. */
export interface FinishedRun {
  vm: string;
  execId: string;
  exit: ExecExit;
  stdout: CapturedOutput;
  stderr: CapturedOutput;
  /** Output that the guest did not keep, bytes. */
  skippedBytes: number;
}

export function reportRun({ vm, execId, exit, stdout, stderr, skippedBytes }: FinishedRun): ToolOutput<RunReport> {
  const structured: RunReport = {
    vm,
    exec_id: execId,
    status: exit.timedOut ? "timed_out" : exit.exitCode === null ? "signaled" : "exited",
    ...(exit.exitCode === null ? {} : { exit_code: exit.exitCode }),
    ...(exit.signal === null ? {} : { signal: exit.signal }),
    duration_ms: exit.durationMs,
    stdout: stdout.content,
    stdout_encoding: stdout.encoding,
    stdout_bytes: stdout.totalBytes,
    ...(stdout.cut === undefined ? {} : { stdout_cut: toCut(stdout.cut) }),
    stderr: stderr.content,
    stderr_encoding: stderr.encoding,
    stderr_bytes: stderr.totalBytes,
    ...(stderr.cut === undefined ? {} : { stderr_cut: toCut(stderr.cut) }),
  };
  const parts = [render("stdout", stdout), render("stderr", stderr)];
  if (skippedBytes > 0) parts.push(`[${skippedBytes} bytes of output were lost in the VM]`);
  return {
    structured,
    vm,
    facts: [describeEnd(exit), `${exit.durationMs} ms`],
    text: parts.filter((part) => part !== "").join("\n"),
  };
}

function describeEnd(exit: ExecExit): string {
  if (exit.timedOut) return "timed out";
  return exit.exitCode === null ? `ended by ${exit.signal}` : `exit ${exit.exitCode}`;
}

function toCut(cut: OutputCut): z.input<typeof cutSchema> {
  return {
    bytes: cut.bytes,
    offset: cut.offset,
    ...(cut.path === undefined ? {} : { path: cut.path }),
    ...(cut.savedBytes === undefined ? {} : { saved_bytes: cut.savedBytes }),
  };
}

/** stdout stands for itself; what is not plain stdout is announced by a line of its own. */
function render(name: "stdout" | "stderr", output: CapturedOutput): string {
  if (output.totalBytes === 0) return "";
  const isText = output.encoding === "text";
  const title = name === "stdout" && isText ? "" : `[${name}${isText ? "" : ", base64"}]\n`;
  const cut = !isText && output.cut !== undefined ? `\n${describeCut(output.cut)}` : "";
  return `${title}${output.content}${cut}`;
}

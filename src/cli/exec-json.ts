import type { ExecStream } from "../client/exec-stream.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { exitCodeOf } from "./exit-code.ts";

/** With --json the output is held in memory, so it is bounded; the rest is counted. */
const MAX_JSON_OUTPUT_BYTES = 8 * 1024 * 1024;

/** Runs a command to its end without streams of ours (stdin is passed on) and reports it whole. */
export async function collectExec(stream: ExecStream): Promise<{ report: Record<string, unknown>; exitCode: number }> {
  const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  let kept = 0;
  let cut = 0;
  stream.onStarted = () => void pumpStdin(stream);
  for await (const output of stream.output()) {
    if (output.type === "skipped") cut += output.bytes;
    else if (kept + output.bytes.length > MAX_JSON_OUTPUT_BYTES) cut += output.bytes.length;
    else {
      kept += output.bytes.length;
      chunks[output.type].push(output.bytes);
    }
  }
  process.stdin.pause();
  process.stdin.unref?.();
  if (stream.exit === undefined)
    throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended before the command did");
  const { exitCode, signal, timedOut, durationMs } = stream.exit;
  const report = {
    exitCode,
    signal,
    timedOut,
    durationMs,
    ...encode("stdout", chunks.stdout),
    ...encode("stderr", chunks.stderr),
    cutBytes: cut,
  };
  return { report, exitCode: exitCodeOf(stream.exit) };
}

async function pumpStdin(stream: ExecStream): Promise<void> {
  if (!process.stdin.isTTY) {
    for await (const chunk of process.stdin) await stream.writeStdin(chunk as Buffer);
  }
  stream.endStdin();
}

/** Text as text; bytes that are not UTF-8 as base64 under another key. */
function encode(key: "stdout" | "stderr", chunks: Buffer[]): Record<string, string> {
  const bytes = Buffer.concat(chunks);
  try {
    return { [key]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { [`${key}Base64`]: bytes.toString("base64") };
  }
}

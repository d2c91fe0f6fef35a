import os from "node:os";
import type { ExecStream } from "../client/exec-stream.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { writeWhole } from "../platform/streams.ts";
import { exitCodeOf } from "./exit-code.ts";
import type { ProgressLine } from "./progress.ts";

const FORWARDED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** The terminal's size where stdin and stdout are one. */
export function terminalSize(): { cols: number; rows: number } | undefined {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  return { cols: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}

export interface SessionOptions {
  hasTty: boolean;
  /** Send this process's stdin to the command. */
  hasStdin: boolean;
  /** Signals end us and leave the command alone when false; they are the command's otherwise. */
  forwardsSignals?: boolean;
  progress: ProgressLine;
}

/** Exit code of a program whose reader has gone, as the shell reports it. */
const READER_GONE = 128 + os.constants.signals.SIGPIPE;

/** Ends a command whose caller has no use for it any more, and remembers with which exit code that ends us. */
class GivingUp {
  readonly #stream: ExecStream;
  exitCode: number | undefined;

  constructor(stream: ExecStream) {
    this.#stream = stream;
  }

  now(exitCode: number): void {
    this.exitCode ??= exitCode;
    this.#stream.close();
  }
}

/**
 * Connects this process's streams, signals and terminal to a command in a VM until the command ends. Returns the exit code to
 * end with: the command's own, or 128 + signal.
 */
export async function runSession(stream: ExecStream, options: SessionOptions): Promise<number> {
  const givingUp = new GivingUp(stream);
  const release = forwardSignals(stream, givingUp, options.forwardsSignals ?? true);
  for (const target of [process.stdout, process.stderr]) target.on("error", () => givingUp.now(READER_GONE));
  let endTerminal = () => {};
  stream.onStarted = () => {
    options.progress.clear();
    if (options.hasTty) endTerminal = takeTerminal(stream);
    if (options.hasStdin) void pumpStdin(stream);
  };
  try {
    for await (const output of stream.output()) {
      if (output.type === "skipped") process.stderr.write(`firebreak: ${output.bytes} bytes of output were not kept\n`);
      else await writeWhole(output.type === "stdout" ? process.stdout : process.stderr, output.bytes);
    }
  } catch (error) {
    if (givingUp.exitCode !== undefined) return givingUp.exitCode;
    throw error;
  } finally {
    options.progress.clear();
    endTerminal();
    release();
    process.stdin.pause();
    process.stdin.unref?.();
  }
  if (givingUp.exitCode !== undefined) return givingUp.exitCode;
  if (stream.exit === undefined)
    throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended before the command did");
  if (stream.exit.timedOut) process.stderr.write("firebreak: the command was ended at its --timeout\n");
  return exitCodeOf(stream.exit);
}

async function pumpStdin(stream: ExecStream): Promise<void> {
  try {
    for await (const chunk of process.stdin) await stream.writeStdin(chunk as Buffer);
  } catch {
    // A terminal that goes away is the end of input.
  }
  stream.endStdin();
}

function takeTerminal(stream: ExecStream): () => void {
  process.stdin.setRawMode(true);
  const onResize = () => {
    const size = terminalSize();
    if (size !== undefined) stream.resize(size).catch(() => {});
  };
  process.stdout.on("resize", onResize);
  onResize();
  return () => {
    process.stdin.setRawMode(false);
    process.stdout.off("resize", onResize);
  };
}

/** Signals are the command's. Before it has started, or at a third Ctrl-C, they end us, and the daemon cleans up. */
function forwardSignals(stream: ExecStream, givingUp: GivingUp, areForwarded: boolean): () => void {
  let interrupts = 0;
  const handlers = FORWARDED_SIGNALS.map((signal) => {
    const handler = () => {
      if (signal === "SIGINT") interrupts++;
      const giveUp = () => givingUp.now(128 + os.constants.signals[signal]);
      if (!areForwarded || stream.started === undefined || interrupts > 2) giveUp();
      else stream.signal(signal).catch(giveUp);
    };
    process.on(signal, handler);
    return { signal, handler };
  });
  return () => {
    for (const { signal, handler } of handlers) process.off(signal, handler);
  };
}

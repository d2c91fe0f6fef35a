import { Writable } from "node:stream";
import { FRAME, FrameDecoder } from "../contract/frames.ts";
import type { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import type { ExecExit, ExecSpec } from "../guest/protocol.ts";
import { relayExec } from "./exec-relay.ts";

const KILL_GRACE_MS = 2_000;

export interface RunCommandOptions {
  client: GuestClient;
  signal?: AbortSignal | undefined;
  /** Why the guest may have gone silent, asked when the channel breaks. */
  explainLoss: () => Promise<FirebreakError>;
  /** Hears the command's output of both kinds, as it comes. */
  onText?: (text: string) => void;
  /** How much of the end of its output is kept, characters. */
  tailLength: number;
}

/** Runs a command without input in a VM, to its end. Undefined `exit` comes of a command that was detached. */
export async function runCommand(
  spec: ExecSpec,
  { client, signal, explainLoss, onText, tailLength }: RunCommandOptions,
): Promise<{ exit: ExecExit | undefined; tail: string }> {
  let tail = "";
  const decoder = new FrameDecoder();
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const { type, payload } of decoder.push(chunk)) {
        if (type !== FRAME.stdout && type !== FRAME.stderr) continue;
        const text = payload.toString("utf8");
        tail = (tail + text).slice(-tailLength);
        onText?.(text);
      }
      done();
    },
  });
  const exit = await relayExec(spec, {
    client,
    input: (async function* () {})(),
    output,
    signal: signal ?? new AbortController().signal,
    explainLoss,
    killGraceMs: KILL_GRACE_MS,
  });
  return { exit, tail };
}

import { randomBytes } from "node:crypto";
import type { ClientHttp2Stream } from "node:http2";
import type { Writable } from "node:stream";
import { encodeFrameParts, encodeJsonFrame, FRAME, type Frame, FrameDecoder, FrameError } from "../contract/frames.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { type GuestClient, parseGuest } from "../guest/client.ts";
import { findGuestFrameFault } from "../guest/exec-frames.ts";
import {
  type ExecExit,
  type ExecSpec,
  type ExecStarted,
  execExitSchema,
  execSkippedSchema,
  execStartedSchema,
  type UnattendedExecSpec,
} from "../guest/protocol.ts";
import { writeWhole } from "../platform/streams.ts";

export interface ExecRelayOptions {
  client: GuestClient;
  /** Frames of the caller after SPEC: STDIN and STDIN_EOF. Ends when the caller has no more to say. */
  input: AsyncIterable<Frame>;
  /** Takes STARTED, STDOUT, STDERR, SKIPPED and EXIT frames; its back-pressure reaches the command. */
  output: Writable;
  /** Aborts when the caller is gone: the command is ended unless it is detached. */
  signal: AbortSignal;
  /** Why the guest may have gone silent, asked when the channel breaks. */
  explainLoss: () => Promise<FirebreakError>;
  /** How long a command has between TERM and KILL when the caller is gone, ms. */
  killGraceMs: number;
}

/** Starts a command and carries its streams until it ends. Returns how it ended; undefined when it was detached. */
export async function relayExec(
  spec: ExecSpec & { detach?: boolean },
  options: ExecRelayOptions,
): Promise<ExecExit | undefined> {
  const { detach, ...guestSpec } = spec;
  // Named here, so that a command whose caller goes away before it has heard of it can be ended all the same.
  const id = guestSpec.id ?? `x${randomBytes(6).toString("hex")}`;
  const stream = await options.client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, { ...guestSpec, id }));
  return relay(stream, "/v1/exec", detach ?? false, options, { killOnAbort: id });
}

/** The same for a command that goes on when its caller goes away. `onStarted` is told when the guest has it. Throws EXEC_ALREADY_EXISTS. */
export async function relayUnattended(
  spec: UnattendedExecSpec,
  options: ExecRelayOptions,
  onStarted: () => void,
): Promise<ExecExit | undefined> {
  const stream = await options.client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, spec));
  return relay(stream, "/v1/exec", false, options, { onStarted });
}

/** Goes on with a command that runs or has run, from an offset of its output on. */
export async function relayAttach(
  id: string,
  from: number,
  follow: boolean,
  options: ExecRelayOptions,
): Promise<ExecExit | undefined> {
  const stream = await options.client.openAttach(id, from, follow);
  return relay(stream, "/v1/execs", false, options, { mayEndWithoutExit: !follow });
}

async function relay(
  stream: ClientHttp2Stream,
  requestPath: string,
  detach: boolean,
  options: ExecRelayOptions,
  mode: { mayEndWithoutExit?: boolean; killOnAbort?: string; onStarted?: () => void } = {},
): Promise<ExecExit | undefined> {
  // Not cut short by a caller that goes away: until the head is there, nobody knows whether there is a command to end.
  await options.client.awaitHead(stream, requestPath).catch(async (error: unknown) => {
    throw error instanceof FirebreakError && error.code !== "CHANNEL_LOST" ? error : await options.explainLoss();
  });
  mode.onStarted?.();
  const state: { started?: ExecStarted; exit?: ExecExit } = {};
  const onAbort = () => {
    // The stream's end only detaches; the process group has to be told.
    if (mode.killOnAbort !== undefined) options.client.execKill(mode.killOnAbort, options.killGraceMs).catch(() => {});
    stream.destroy();
  };
  if (options.signal.aborted) {
    onAbort();
    throw new FirebreakError("OPERATION_CANCELED", "the caller is gone");
  }
  options.signal.addEventListener("abort", onAbort, { once: true });
  let inputFault: FirebreakError | undefined;
  try {
    void pumpInput(stream, options.input).then((fault) => {
      if (!(fault instanceof FirebreakError) || state.exit !== undefined) return;
      inputFault = fault;
      onAbort();
    });
    await pumpOutput(stream, detach, options.output, state);
  } catch (error) {
    if (inputFault !== undefined) throw inputFault;
    if (options.signal.aborted) throw new FirebreakError("OPERATION_CANCELED", "the caller is gone", { cause: error });
    throw error instanceof FirebreakError && error.code !== "CHANNEL_LOST" ? error : await options.explainLoss();
  } finally {
    options.signal.removeEventListener("abort", onAbort);
    stream.destroy();
  }
  if (inputFault !== undefined) throw inputFault;
  if (state.exit === undefined && !detach && !mode.mayEndWithoutExit) {
    if (options.signal.aborted) throw new FirebreakError("OPERATION_CANCELED", "the caller is gone");
    throw await options.explainLoss();
  }
  return state.exit;
}

/** Carries the caller's frames to the guest until they end, which is the end of the command's input. Returns why they are not to be had, if so. */
async function pumpInput(stream: ClientHttp2Stream, input: AsyncIterable<Frame>): Promise<unknown> {
  try {
    for await (const frame of input) {
      // What comes after the command's end is read all the same: a connection closed with unread bytes loses the answer, too.
      if (stream.destroyed || stream.writableEnded) continue;
      if (frame.type !== FRAME.stdin && frame.type !== FRAME.stdinEof) {
        throw new FirebreakError("INVALID_ARGUMENT", `a frame of type ${frame.type} is none of a caller's`);
      }
      await writeParts(stream, encodeFrameParts(frame.type, frame.payload)).catch(() => {});
    }
    stream.end();
    return undefined;
  } catch (error) {
    return error;
  }
}

async function pumpOutput(
  stream: ClientHttp2Stream,
  detach: boolean,
  output: Writable,
  state: { started?: ExecStarted; exit?: ExecExit },
): Promise<void> {
  const decoder = new FrameDecoder();
  for await (const chunk of stream) {
    for (const frame of decodeGuest(decoder, chunk as Buffer)) {
      checkGuestFrame(frame, state);
      await writeParts(output, encodeFrameParts(frame.type, frame.payload));
      if (state.exit !== undefined || (detach && state.started !== undefined)) return;
    }
  }
}

function decodeGuest(decoder: FrameDecoder, chunk: Buffer): Frame[] {
  try {
    return decoder.push(chunk);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new FirebreakError("GUEST_PROTOCOL_ERROR", `the guest agent sent ${error.message}`);
  }
}

/** A guest may send anything: only well-formed frames in a sensible order go on to the caller. */
function checkGuestFrame(frame: Frame, state: { started?: ExecStarted; exit?: ExecExit }): void {
  const fault = findGuestFrameFault(frame);
  if (fault !== undefined || (state.started === undefined) !== (frame.type === FRAME.started)) {
    const why = fault ?? "out of place";
    throw new FirebreakError("GUEST_PROTOCOL_ERROR", `the guest agent sent a frame of type ${frame.type} (${why})`);
  }
  if (frame.type === FRAME.started) state.started = parseGuest(execStartedSchema, parseJson(frame.payload));
  else if (frame.type === FRAME.skipped) parseGuest(execSkippedSchema, parseJson(frame.payload));
  else if (frame.type === FRAME.exit) state.exit = parseGuest(execExitSchema, parseJson(frame.payload));
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString("utf8"));
  } catch {
    return undefined;
  }
}

async function writeParts(target: Writable, parts: Uint8Array[]): Promise<void> {
  if (target.destroyed) throw new FirebreakError("CHANNEL_LOST", "the stream has been closed");
  await writeWhole(target, ...parts);
}

/** Frames of a byte stream as they come; back-pressure is the reader's. Throws INVALID_ARGUMENT on bytes that are no frames. */
export async function* readFrames(source: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  const decoder = new FrameDecoder();
  for await (const chunk of source) {
    let frames: Frame[];
    try {
      frames = decoder.push(chunk);
    } catch (error) {
      throw new FirebreakError("INVALID_ARGUMENT", `the request body is malformed: ${(error as Error).message}`);
    }
    yield* frames;
  }
  if (decoder.pendingBytes > 0) throw new FirebreakError("INVALID_ARGUMENT", "the request body ends within a frame");
}

import type { ClientHttp2Stream } from "node:http2";
import {
  encodeFrameParts,
  encodeJsonFrame,
  FRAME,
  type Frame,
  FrameDecoder,
  FrameError,
  MAX_FRAME_BYTES,
} from "../../contract/frames.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { type GuestClient, parseGuest } from "../../guest/client.ts";
import { findGuestFrameFault } from "../../guest/exec-frames.ts";
import {
  type ExecExit,
  type ExecSpec,
  execExitSchema,
  execSkippedSchema,
  execStartedSchema,
} from "../../guest/protocol.ts";
import { writeWhole } from "../../platform/streams.ts";
import { Mutex } from "../../vms/mutex.ts";
import type { PipeEvents, ServerPipe } from "../rpc/peer.ts";

/** What is kept in the guest of a server's output for a daemon that comes back. */
const SPOOL_BYTES = 4 * 1024 * 1024;

export interface GuestPipeOptions {
  /** For errors. */
  server: string;
  client: GuestClient;
  events: PipeEvents;
  onStderr: (bytes: Buffer) => void;
  /** Why the guest has gone silent, asked when the channel breaks. */
  explainLoss: () => Promise<FirebreakError>;
}

/** A server's command in a VM; `id` is how a later attachment finds it. */
export interface GuestPipe extends ServerPipe {
  readonly id: string;
  /** Bytes of output, of both kinds, that have been read since the command's start. */
  readonly offset: number;
}

/** Starts a server's command. It goes on when the pipe is closed. Throws SERVER_FAILED when there is no such program. */
export async function startServer(
  spec: Omit<ExecSpec, "stdin" | "spoolBytes"> & { id: string },
  options: GuestPipeOptions,
): Promise<GuestPipe> {
  const stream = await options.client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, { ...spec, stdin: true, spoolBytes: SPOOL_BYTES }));
  await options.client.awaitHead(stream, "/v1/exec").catch((thrown: unknown) => {
    const error = toFirebreakError(thrown);
    if (error.code === "CHANNEL_LOST" || error.code === "GUEST_UNREACHABLE") throw error;
    throw new FirebreakError("SERVER_FAILED", `the server '${options.server}' cannot be started: ${error.message}`, {
      cause: error,
    });
  });
  return new Pipe(spec.id, 0, stream, options);
}

/** Goes on with a server that runs, from an offset of its output on. */
export async function attachServer(id: string, from: number, options: GuestPipeOptions): Promise<GuestPipe> {
  const stream = await options.client.openAttach(id, from, true);
  await options.client.awaitHead(stream, "/v1/execs");
  return new Pipe(id, from, stream, options);
}

class Pipe implements GuestPipe {
  readonly id: string;
  readonly #stream: ClientHttp2Stream;
  readonly #options: GuestPipeOptions;
  #offset: number;
  #exit: ExecExit | undefined;
  #isClosed = false;
  /** One line at a time: a long one goes out in several frames. */
  readonly #writing = new Mutex();

  constructor(id: string, offset: number, stream: ClientHttp2Stream, options: GuestPipeOptions) {
    this.id = id;
    this.#offset = offset;
    this.#stream = stream;
    this.#options = options;
    void this.#read();
  }

  get offset(): number {
    return this.#offset;
  }

  write(line: string): Promise<void> {
    return this.#writing.run(() => this.#write(line));
  }

  async #write(line: string): Promise<void> {
    const bytes = Buffer.from(line);
    for (let at = 0; at < bytes.length; at += MAX_FRAME_BYTES) {
      if (this.#isClosed || this.#stream.destroyed)
        throw new FirebreakError("SERVER_FAILED", `the server '${this.#options.server}' is not attached to any more`);
      await writeWhole(this.#stream, ...encodeFrameParts(FRAME.stdin, bytes.subarray(at, at + MAX_FRAME_BYTES)));
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#stream.destroy();
  }

  async #read(): Promise<void> {
    const decoder = new FrameDecoder();
    let fault: unknown;
    try {
      for await (const chunk of this.#stream) for (const frame of decoder.push(chunk as Buffer)) this.#take(frame);
    } catch (error) {
      fault = error;
    }
    this.#stream.destroy();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.events.onClosed(await this.#explain(fault));
  }

  #take(frame: Frame): void {
    const { events, onStderr } = this.#options;
    if (findGuestFrameFault(frame) !== undefined) throw new FrameError(`a frame of type ${frame.type} out of place`);
    switch (frame.type) {
      case FRAME.stdout:
        this.#offset += frame.payload.length;
        return void events.onOutput(frame.payload);
      case FRAME.stderr:
        this.#offset += frame.payload.length;
        return void onStderr(frame.payload);
      case FRAME.skipped:
        this.#offset += parseGuest(execSkippedSchema, parseJson(frame.payload)).bytes;
        return;
      case FRAME.exit:
        this.#exit = parseGuest(execExitSchema, parseJson(frame.payload));
        return;
      default:
        parseGuest(execStartedSchema, parseJson(frame.payload));
    }
  }

  async #explain(fault: unknown): Promise<FirebreakError> {
    const { server } = this.#options;
    if (this.#exit !== undefined) {
      const { exitCode, signal } = this.#exit;
      const how = signal === null ? `has ended with code ${exitCode}` : `was ended by ${signal}`;
      return new FirebreakError("SERVER_FAILED", `the server '${server}' ${how}`, {
        hint: `Its output is in: firebreak server logs ${server}`,
        details: { server, exitCode, signal },
      });
    }
    const cause =
      fault instanceof FrameError || (fault instanceof FirebreakError && fault.code === "GUEST_PROTOCOL_ERROR")
        ? toFirebreakError(fault)
        : await this.#options.explainLoss().catch((error: unknown) => toFirebreakError(error));
    return new FirebreakError("SERVER_FAILED", `the server '${server}' is lost: ${cause.message}`, {
      cause,
      details: { server },
    });
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString("utf8"));
  } catch {
    return undefined;
  }
}

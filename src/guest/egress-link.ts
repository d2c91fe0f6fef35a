import http2 from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { openSession } from "../platform/http2-session.ts";
import { attachToGuest } from "./attachment.ts";

/** What one flow may have on its way to a peer that does not read, each way, bytes. */
const STREAM_WINDOW_BYTES = 512 * 1024;
/** Of all flows together: what a guest can make the host hold. Some 250 that nobody takes from leave the others alone. */
const CONNECTION_WINDOW_BYTES = 128 * 1024 * 1024;
/** Refused connections are resets, and a program may try many at once: more than Node takes for an attack, which ends the session and with it all flows. */
const RESETS = { streamResetBurst: 10_000, streamResetRate: 1_000 };
/** What the session keeps besides, MB. */
const MAX_SESSION_MB = 128;
const MAX_FRAME_BYTES = 64 * 1024;
/** Flows and questions of one guest at a time. */
export const MAX_STREAMS = 4_096;
/** A name with a port, and nothing else, is what a guest has to say. */
const MAX_HEADER_BYTES = 8 * 1024;
/** Between attachments that fail, ms: doubled each time. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

export interface EgressLinkOptions {
  /** Opens the VM's egress stream; each call is one new attachment. */
  open: (signal: AbortSignal) => Promise<Socket>;
  attachDeadlineMs: number;
  /** A guest's request. Whatever it does with the stream, it never throws. */
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;
  /** The link cannot be had, and is tried again; at most once in a row. */
  onFailure: (reason: string) => void;
}

/** The connection over which a guest asks its host for ways out: kept up, and attached again after a loss. One owner closes it. */
export class EgressLink {
  readonly #options: EgressLinkOptions;
  readonly #lifetime = new AbortController();
  readonly #attached = Promise.withResolvers<void>();
  readonly #ended = { receivedBytes: 0, sentBytes: 0 };
  #session: http2.ServerHttp2Session | undefined;
  #socket: Socket | undefined;

  constructor(options: EgressLinkOptions) {
    this.#options = options;
    void this.#keepUp();
  }

  /** Resolves at the first attachment, or once the link is closed. */
  get attached(): Promise<void> {
    return this.#attached.promise;
  }

  get isAttached(): boolean {
    return this.#session !== undefined && !this.#session.destroyed;
  }

  /** What has gone over it since this was made, its own framing included. */
  get traffic(): { receivedBytes: number; sentBytes: number } {
    return {
      receivedBytes: this.#ended.receivedBytes + (this.#socket?.bytesRead ?? 0),
      sentBytes: this.#ended.sentBytes + (this.#socket?.bytesWritten ?? 0),
    };
  }

  /** Ends the link and each flow on it. */
  close(): void {
    this.#lifetime.abort();
    this.#session?.destroy();
    this.#attached.resolve();
  }

  async #keepUp(): Promise<void> {
    const { signal } = this.#lifetime;
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        const { socket } = await attachToGuest({
          open: this.#options.open,
          deadlineMs: this.#options.attachDeadlineMs,
          signal,
        });
        const session = this.#serve(socket);
        pauseMs = FIRST_PAUSE_MS;
        this.#attached.resolve();
        await new Promise<void>((resolve) => {
          if (session.destroyed) resolve();
          else session.once("close", resolve);
        });
      } catch (error) {
        if (signal.aborted) return;
        if (pauseMs === FIRST_PAUSE_MS) this.#options.onFailure((error as FirebreakError).message);
      }
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
    }
  }

  #serve(socket: Socket): http2.ServerHttp2Session {
    if (socket.destroyed) throw new FirebreakError("CHANNEL_LOST", "the channel broke while it was attached");
    const options = {
      settings: {
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxFrameSize: MAX_FRAME_BYTES,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: MAX_HEADER_BYTES,
        enableConnectProtocol: false,
      },
      maxSessionMemory: MAX_SESSION_MB,
      ...RESETS,
    };
    const session = openSession(socket, () => http2.performServerHandshake(socket, options));
    this.#session = session;
    this.#socket = socket;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    // Whoever waits on a stream hears of the loss there.
    session.on("error", () => {});
    session.on("stream", (stream, headers) => this.#options.onStream(stream, headers));
    session.once("close", () => socket.destroy());
    socket.once("close", () => {
      this.#ended.receivedBytes += socket.bytesRead;
      this.#ended.sentBytes += socket.bytesWritten;
      if (this.#socket === socket) this.#socket = undefined;
      session.destroy();
    });
    if (this.#lifetime.signal.aborted) session.destroy();
    return session;
  }
}

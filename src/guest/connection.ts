import http2 from "node:http2";
import type { Socket } from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { openSession } from "../platform/http2-session.ts";
import { attachToGuest } from "./attachment.ts";

const STREAM_WINDOW_BYTES = 1024 * 1024;
/** Larger than what many stalled streams can hold together, so that none of them stalls the others. */
const CONNECTION_WINDOW_BYTES = 64 * 1024 * 1024;
const MAX_HTTP2_FRAME_BYTES = 256 * 1024;

/** An emulated guest on a busy host answers within a second or two. */
const DEFAULT_PING = { intervalMs: 5_000, deadlineMs: 30_000 };

export interface GuestConnectionOptions {
  /** Opens the VM's byte stream; each call is one new attachment. */
  open: (signal: AbortSignal) => Promise<Socket>;
  /** How long one attachment may take, ms. */
  attachDeadlineMs: number;
  /** How often a guest is pinged, and after how long without an answer it counts as lost, ms. */
  ping?: { intervalMs: number; deadlineMs: number };
}

/** The control connection to one guest: attached on demand, again after a loss. One owner closes it. */
export class GuestConnection {
  readonly #options: GuestConnectionOptions;
  #session: http2.ClientHttp2Session | undefined;
  #attaching: Promise<http2.ClientHttp2Session> | undefined;
  #generation = 0;
  #closed = false;
  readonly #lifetime = new AbortController();
  #socket: Socket | undefined;
  /** Of attachments that have ended. */
  readonly #ended = { receivedBytes: 0, sentBytes: 0 };

  constructor(options: GuestConnectionOptions) {
    this.#options = options;
  }

  /** The generation that the guest said at the last attachment; 0 before the first. */
  get generation(): number {
    return this.#generation;
  }

  /** What has gone over the channel since this was made, its own framing included. */
  get traffic(): { receivedBytes: number; sentBytes: number } {
    return {
      receivedBytes: this.#ended.receivedBytes + (this.#socket?.bytesRead ?? 0),
      sentBytes: this.#ended.sentBytes + (this.#socket?.bytesWritten ?? 0),
    };
  }

  get isAttached(): boolean {
    return this.#session !== undefined && !this.#session.closed && !this.#session.destroyed;
  }

  /** The live HTTP/2 session; attaches when there is none. Callers at the same time share one attachment. */
  async session(deadlineMs = this.#options.attachDeadlineMs): Promise<http2.ClientHttp2Session> {
    if (this.#closed) throw new FirebreakError("CHANNEL_LOST", "the connection to the guest has been closed");
    if (this.isAttached) return this.#session as http2.ClientHttp2Session;
    this.#attaching ??= this.#attach(deadlineMs).finally(() => {
      this.#attaching = undefined;
    });
    return this.#attaching;
  }

  async #attach(deadlineMs: number): Promise<http2.ClientHttp2Session> {
    const { socket, generation } = await attachToGuest({
      open: this.#options.open,
      deadlineMs,
      signal: this.#lifetime.signal,
    });
    if (socket.destroyed)
      throw new FirebreakError("CHANNEL_LOST", "the channel to the guest broke while it was attached");
    const settings = {
      enablePush: false,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxFrameSize: MAX_HTTP2_FRAME_BYTES,
      maxHeaderListSize: 64 * 1024,
    };
    const session = openSession(socket, () =>
      http2.connect("http://guest", { createConnection: () => socket, settings }),
    );
    session.once("connect", () => {
      // The event may come after the session's end, which would throw.
      if (!session.destroyed) session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    });
    // Whoever waits on a stream hears of the loss there; without a listener the error would end the daemon.
    session.on("error", () => {});
    session.on("goaway", () => session.close());
    const stopPinging = keepPinging(session, this.#options.ping ?? DEFAULT_PING);
    session.once("close", () => {
      stopPinging();
      this.#ended.receivedBytes += socket.bytesRead;
      this.#ended.sentBytes += socket.bytesWritten;
      if (this.#socket === socket) this.#socket = undefined;
      socket.destroy();
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    if (!session.destroyed) this.#socket = socket;
    this.#generation = generation;
    if (!this.#closed) return session;
    session.destroy();
    throw new FirebreakError("CHANNEL_LOST", "the connection to the guest has been closed");
  }

  /** Ends the attachment, if there is one; the next request attaches again. */
  detach(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#lifetime.abort();
    this.detach();
  }
}

/**
 * Ends a session whose guest stands still (a frozen VMM, a hung kernel): streams without a deadline, such as a long command's, would
 * wait for ever.
 */
function keepPinging(session: http2.ClientHttp2Session, ping: { intervalMs: number; deadlineMs: number }): () => void {
  let lastAnswerMs = performance.now();
  const timer = setInterval(() => {
    if (session.destroyed) return;
    if (performance.now() - lastAnswerMs > ping.deadlineMs) session.destroy();
    else
      session.ping((error) => {
        if (error === null) lastAnswerMs = performance.now();
      });
  }, ping.intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

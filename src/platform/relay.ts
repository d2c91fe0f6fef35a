import { constants, type Http2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

export interface RelayOptions {
  /** Told of every piece that has come, by where it goes. */
  onBytes: (direction: "toGuest" | "fromGuest", bytes: number) => void;
  /**
   * A connection that one side has ended, or that one side does not read, is broken off when nothing has moved for so long, ms: a side that
   * has gone without a word is noticed by reading only.
   */
  stallMs: number;
  /** Cuts the connection on both sides. */
  signal: AbortSignal;
}

/** How long a client whose guest has ended may go on sending: closed with unread bytes, it would lose what it has not read yet. */
const LINGER_MS = 2_000;

/**
 * Carries bytes between a socket of this host and a stream of a guest. Each direction ends by itself; a break on one side is a break on the
 * other; the pace of each reader reaches the other's writer. Resolves when both are over.
 */
export async function relay(socket: Socket, stream: Http2Stream, options: RelayOptions): Promise<void> {
  stream.on("error", () => {});
  const cut = () => {
    breakOff(stream);
    socket.resetAndDestroy();
  };
  const watch = new StallWatch(options.stallMs, cut);
  options.signal.addEventListener("abort", cut, { once: true });
  if (options.signal.aborted) cut();
  let hasGuestEnded = false;
  const toGuest = pump(socket, stream, (bytes) => options.onBytes("toGuest", bytes), watch);
  const fromGuest = pump(stream, socket, (bytes) => options.onBytes("fromGuest", bytes), watch).then((end) => {
    hasGuestEnded = end === "ended";
    return end;
  });
  try {
    const first = await Promise.race([toGuest, fromGuest]);
    const ends = first === "broken" && !hasGuestEnded ? [first] : await Promise.all([toGuest, fromGuest]);
    // What listens in the guest has said all that it had to say, and takes no more: that is an end, too.
    if (!ends.includes("broken")) await closeOf(stream);
    else if (hasGuestEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR) await letGo(socket);
    else socket.resetAndDestroy();
  } finally {
    watch.stop();
    options.signal.removeEventListener("abort", cut);
    breakOff(stream);
    if (!socket.destroyed) socket.destroySoon();
  }
}

/** Nobody is to take it for a stream that has ended in order: `close` with a code would send an end before the reset, and `destroy` alone no code. */
function breakOff(stream: Http2Stream): void {
  if (stream.closed || stream.destroyed) stream.destroy();
  else stream.destroy(new Error("the other side has broken off"));
}

type PumpEnd = "ended" | "broken";

/** Resolves when the source has ended and so has been passed on, or when either side is gone before. */
function pump(
  source: Readable,
  target: Writable,
  onBytes: (bytes: number) => void,
  watch: StallWatch,
): Promise<PumpEnd> {
  return new Promise((resolve) => {
    source.on("data", (chunk: Buffer) => {
      onBytes(chunk.length);
      watch.move();
      if (target.write(chunk)) return;
      source.pause();
      watch.suspect(1);
    });
    target.on("drain", () => {
      if (!source.isPaused()) return;
      watch.suspect(-1);
      watch.move();
      source.resume();
    });
    source.once("end", () => {
      // A stream whose channel is lost ends, too; what was cut off must not look complete.
      if (source.destroyed) return resolve("broken");
      watch.suspect(1);
      target.end();
      resolve("ended");
    });
    const onBreak = () => resolve("broken");
    for (const each of [source, target]) each.once("error", onBreak).once("close", onBreak);
    source.resume();
  });
}

/** A stream closes by itself when both directions have ended and what was written has left. */
async function closeOf(stream: Http2Stream): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => stream.once("close", resolve));
}

/** Waits until the client has ended its side, too; not for long. */
async function letGo(socket: Socket): Promise<void> {
  if (socket.destroyed || socket.readableEnded) return;
  socket.removeAllListeners("data");
  socket.resume();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, LINGER_MS);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.once("end", done).once("close", done);
  });
}

/** Calls once nothing has moved for the given time, as long as there is a reason to suspect that a side is gone. */
class StallWatch {
  readonly #stallMs: number;
  readonly #onStall: () => void;
  #suspicions = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stallMs: number, onStall: () => void) {
    this.#stallMs = stallMs;
    this.#onStall = onStall;
  }

  suspect(change: number): void {
    this.#suspicions += change;
    clearTimeout(this.#timer);
    this.#timer = this.#suspicions > 0 ? setTimeout(this.#onStall, this.#stallMs) : undefined;
  }

  move(): void {
    this.#timer?.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

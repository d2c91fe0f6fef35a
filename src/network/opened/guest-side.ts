import type { ServerHttp2Stream } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";

/** What a guest gets to end its side in, once the host's has ended. */
const LINGER_MS = 2_000;

/**
 * A guest's stream for whoever ends connections by destroying them, as HTTP servers and TLS do: the guest sees an end, with all that was said before
 * it, where the stream by itself would be reset.
 */
export function guestSide(stream: ServerHttp2Stream): Duplex {
  const [near, far] = duplexPair();
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    far.unpipe(stream);
    if (!stream.destroyed) stream.end();
    // It may say more, which nobody hears.
    stream.unpipe(far);
    stream.resume();
    setTimeout(() => stream.destroy(), LINGER_MS).unref();
  };
  stream.pipe(far).pipe(stream, { end: false });
  far.once("end", end).once("close", end);
  far.on("error", () => {});
  near.on("error", () => {});
  near.once("close", () => far.destroy());
  stream.once("close", () => near.destroy());
  return near;
}

import type { OutgoingHttpHeaders } from "node:http";
import type { Writable } from "node:stream";

/** A caller that takes nothing of what there is for it, for so long, is gone: what waits for it would fill memory. */
export const STALL_MS = 60_000;

/** What is needed of a ServerResponse. */
export interface Outgoing extends Writable {
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  flushHeaders(): void;
}

/**
 * Writes a web response at its reader's pace. Resolves to whether all of it was written; a reader that hangs up or stalls
 * cancels the body, whose source thus hears of it.
 */
export async function respond(outgoing: Outgoing, response: Response, stallMs = STALL_MS): Promise<boolean> {
  outgoing.on("error", () => {}); // the same as its close
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) {
    outgoing.end();
    return true;
  }
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    // It is there already: head and body go out in one write.
    outgoing.end(Buffer.from(await response.arrayBuffer()));
    return !outgoing.destroyed;
  }
  const reader = response.body.getReader();
  const giveUp = () => void reader.cancel("the reader is gone").catch(() => {});
  outgoing.once("close", giveUp);
  // The head goes out with the first event, unless that lets itself be waited for.
  const flushing = setImmediate(() => outgoing.flushHeaders());
  let isWhole = false;
  try {
    while (!outgoing.destroyed) {
      const { done, value } = await reader.read();
      clearImmediate(flushing);
      if (done) break;
      if (!outgoing.write(value)) await waitForRoom(outgoing, stallMs);
    }
    isWhole = !outgoing.destroyed;
    if (!isWhole) giveUp();
  } catch {
    // The source broke off: so does the answer, rather than to look whole.
    outgoing.destroy();
  }
  clearImmediate(flushing);
  outgoing.off("close", giveUp);
  outgoing.end();
  return isWhole;
}

function waitForRoom(outgoing: Writable, stallMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => outgoing.destroy(), stallMs);
    const done = () => {
      clearTimeout(timer);
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.once("drain", done);
    outgoing.once("close", done);
    if (outgoing.destroyed) done();
  });
}

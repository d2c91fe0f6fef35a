import type { ServerResponse } from "node:http";
import { StringDecoder } from "node:string_decoder";
import type { LiveVm } from "../../vms/live-vm.ts";
import { signalOfCaller } from "./responses.ts";

/** A VM's life, as far as it is followed. */
type Followed = Pick<LiveVm, "signal" | "followConsole">;

/** Text in one event at most; what is kept of a console comes in several. */
const EVENT_CHARACTERS = 16 * 1024;
/** A follower that hears nothing else hears this, ms: it finds out that the connection is gone, and so do we. */
const KEEPALIVE_MS = 15_000;

/** A console as text: what is kept of it, then what comes while `live` lives. */
export async function sendConsoleText(
  outgoing: ServerResponse,
  kept: Buffer,
  live: Followed | undefined,
): Promise<void> {
  outgoing.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  outgoing.flushHeaders(); // a console may say nothing for long
  outgoing.write(kept);
  // A reader that does not keep up misses lines rather than filling the daemon's memory.
  await follow(outgoing, live, (bytes) => outgoing.writableNeedDrain || outgoing.write(bytes));
  outgoing.end();
}

/**
 * The same as server-sent events: `text` with a JSON string each, `skipped` with the number of bytes that a reader who does not keep up has
 * missed, and `end` when nothing more will come, so that a browser does not ask again.
 */
export async function sendConsoleEvents(
  outgoing: ServerResponse,
  kept: Buffer,
  live: Followed | undefined,
): Promise<void> {
  outgoing.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  outgoing.flushHeaders();
  // A character may be cut by two pieces.
  const decoder = new StringDecoder("utf8");
  let skippedBytes = 0;
  const tellSkipped = () => {
    if (skippedBytes > 0) outgoing.write(formatEvent("skipped", skippedBytes));
    skippedBytes = 0;
  };
  // As soon as the reader takes anything again: what was missed may have been the last that is said for long.
  outgoing.on("drain", tellSkipped);
  const send = (bytes: Buffer) => {
    if (outgoing.writableNeedDrain) {
      skippedBytes += bytes.length;
      return;
    }
    tellSkipped();
    sendText(outgoing, decoder.write(bytes));
  };
  sendText(outgoing, decoder.write(kept));
  const keepalive = setInterval(() => outgoing.writableNeedDrain || outgoing.write(":\n\n"), KEEPALIVE_MS);
  await follow(outgoing, live, send);
  clearInterval(keepalive);
  tellSkipped();
  sendText(outgoing, decoder.end());
  outgoing.end(formatEvent("end", null));
}

function sendText(outgoing: ServerResponse, text: string): void {
  for (let at = 0; at < text.length; at += EVENT_CHARACTERS)
    outgoing.write(formatEvent("text", text.slice(at, at + EVENT_CHARACTERS)));
}

/** JSON has no line breaks, which would end a field: whatever a guest prints, it stays within its event. */
function formatEvent(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Resolves when the reader has gone or the VM's life is over; at once without a VM. */
async function follow(
  outgoing: ServerResponse,
  live: Followed | undefined,
  onBytes: (bytes: Buffer) => void,
): Promise<void> {
  if (live === undefined) return;
  const signal = AbortSignal.any([signalOfCaller(outgoing), live.signal]);
  const unfollow = live.followConsole(onBytes);
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  unfollow();
}

import type { Writable } from "node:stream";
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { type Outgoing, STALL_MS } from "../http/respond.ts";

const KEEP_ALIVE_MS = 15_000;
/** What waits for a reader is memory of the daemon's; a message is at most a quarter of it. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

export interface SseTransportOptions {
  outgoing: Writable & Pick<Outgoing, "writeHead">;
  /** Where its client's messages go, which the stream begins with. */
  endpoint: string;
  stallMs?: number;
  maxWaitingBytes?: number;
}

/** One client's stream of the transport of 2024-11-05: the end of the stream is the session's. */
export class SseTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: Transport["onmessage"];
  readonly #options: SseTransportOptions;
  #keepAlive: NodeJS.Timeout | undefined;
  #stall: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SseTransportOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { outgoing, endpoint } = this.#options;
    outgoing.on("error", () => {}); // the same as its close
    outgoing.once("close", () => void this.close());
    outgoing.on("drain", () => {
      clearTimeout(this.#stall);
      this.#stall = undefined;
    });
    outgoing.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    this.#write(`event: endpoint\ndata: ${endpoint}\n\n`);
    this.#keepAlive = setInterval(() => this.#write(": still here\n\n"), KEEP_ALIVE_MS);
    this.#keepAlive.unref();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) throw new FirebreakError("OPERATION_CANCELED", "the client has hung up");
    this.#write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#keepAlive);
    clearTimeout(this.#stall);
    this.#options.outgoing.end();
    this.onclose?.();
  }

  /** A reader that takes nothing for long, or is too far behind, is gone. */
  #write(text: string): void {
    const { outgoing, stallMs = STALL_MS, maxWaitingBytes = MAX_WAITING_BYTES } = this.#options;
    if (outgoing.destroyed || outgoing.writableEnded) return;
    if (outgoing.write(text)) return;
    if (outgoing.writableLength > maxWaitingBytes) outgoing.destroy();
    else this.#stall ??= setTimeout(() => outgoing.destroy(), stallMs);
  }
}

import type { Readable, Writable } from "node:stream";
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  ProtocolErrorCode,
  parseJSONRPCMessage,
  type Transport,
} from "@modelcontextprotocol/server";

/** A message longer than this is refused, and the connection goes on with the next line. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * JSON-RPC messages as lines over a pair of streams. A line that is no message is answered with an error, and nothing a peer
 * sends ends the connection but the end of its stream; then `onended` is called, once, and whoever owns the transport closes it.
 */
export class LineTransport implements Transport {
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #maxLineBytes: number;
  #line: Buffer[] = [];
  #lineBytes = 0;
  #isClosed = false;
  #hasEnded = false;
  /** Requests that have not been answered. */
  readonly #pending = new Set<string | number>();
  /** Messages that the output has not taken entirely. */
  #writing = 0;
  #onIdle: () => void = () => {};

  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  /** Each message before it is delivered, for whoever has to know of it besides the server. */
  onpassing?: (message: JSONRPCMessage) => void;
  /** The peer sends no more, or takes no more. */
  onended?: () => void;

  constructor(input: Readable, output: Writable, maxLineBytes = MAX_LINE_BYTES) {
    this.#input = input;
    this.#output = output;
    this.#maxLineBytes = maxLineBytes;
  }

  async start(): Promise<void> {
    this.#input.on("data", this.#take);
    for (const event of ["end", "close", "error"]) this.#input.on(event, this.#end);
    // Stays for good: a late EPIPE must not end the process with a stack trace.
    this.#output.on("error", this.#end);
    if (this.#input.readableEnded || this.#input.destroyed) setImmediate(this.#end);
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (!this.#isClosed && !this.#output.destroyed) await this.#write(message);
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) this.#settle(message.id);
  }

  /** Resolves when every request has been answered or cancelled and all of it is with the peer, or after a time. */
  async whenIdle(timeoutMs: number): Promise<void> {
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#input.off("data", this.#take);
    this.#input.pause();
    this.#line = [];
    this.onclose?.();
  }

  #end = () => {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onended?.();
  };

  #take = (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#append(chunk.subarray(start, end));
      this.#finishLine();
      start = end + 1;
    }
    this.#append(chunk.subarray(start));
  };

  #append(part: Buffer): void {
    this.#lineBytes += part.length;
    if (this.#lineBytes <= this.#maxLineBytes) this.#line.push(part);
    else this.#line = [];
  }

  #finishLine(): void {
    const bytes = this.#lineBytes;
    const text = Buffer.concat(this.#line).toString("utf8").trim();
    this.#line = [];
    this.#lineBytes = 0;
    if (bytes > this.#maxLineBytes) {
      this.#refuse(ProtocolErrorCode.InvalidRequest, `a message is at most ${this.#maxLineBytes} bytes long`);
      return;
    }
    if (text === "") return;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      this.#refuse(ProtocolErrorCode.ParseError, `Parse error: ${(error as Error).message}`);
      return;
    }
    // Revision 2025-03-26 has batches: each message is answered on its own.
    for (const message of Array.isArray(value) && value.length > 0 ? value : [value]) this.#deliver(message);
  }

  #deliver(value: unknown): void {
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(value);
    } catch {
      const id = (value as { id?: unknown } | null)?.id;
      const known = typeof id === "string" || typeof id === "number" ? id : null;
      this.#refuse(ProtocolErrorCode.InvalidRequest, "Invalid request: not a JSON-RPC 2.0 message", known);
      return;
    }
    if (isJSONRPCRequest(message)) this.#pending.add(message.id);
    else if ("method" in message && message.method === "notifications/cancelled") {
      const { requestId } = message.params ?? {};
      if (typeof requestId === "string" || typeof requestId === "number") this.#settle(requestId);
    }
    this.onpassing?.(message);
    this.onmessage?.(message);
  }

  #settle(id: string | number | undefined): void {
    if (id !== undefined) this.#pending.delete(id);
    if (this.#isIdle()) this.#onIdle();
  }

  #refuse(code: number, message: string, id: string | number | null = null): void {
    if (this.#isClosed || this.#output.destroyed) return;
    void this.#write({ jsonrpc: "2.0", id, error: { code, message } }).then(() => this.#settle(undefined));
  }

  /** Resolves when the stream has taken all of it: a pipe takes 64 KiB at once, and an exit before that would cut the line. */
  async #write(message: object): Promise<void> {
    this.#writing++;
    await new Promise<void>((resolve) => this.#output.write(`${JSON.stringify(message)}\n`, () => resolve()));
    this.#writing--;
  }

  #isIdle(): boolean {
    return this.#pending.size === 0 && this.#writing === 0;
  }
}

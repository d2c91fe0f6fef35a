import { randomInt } from "node:crypto";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { traceHeaders } from "../../telemetry/trace-context.ts";
import { LineSplitter } from "./lines.ts";
import {
  findAnsweredIds,
  parseMessage,
  RPC_CODE,
  RpcError,
  type RpcErrorBody,
  type RpcId,
  type RpcMessage,
} from "./messages.ts";

/** Requests of a server's that are being answered at once; more are refused. */
export const MAX_INBOUND = 64;
/** Requests under way to one server. */
export const MAX_PENDING = 4_096;
/** What a server has not read yet of what it was sent, characters. */
const MAX_UNREAD = 64 * 1024 * 1024;

/** A server's standard input and output. Closing it does not end the server. */
export interface ServerPipe {
  /** Resolves when the pipe takes more. Throws when it is closed. `headers` go beside the line, where there is such a place. */
  write(line: string, headers?: Record<string, string>): Promise<void>;
  close(): void;
}

/** What comes out of a pipe, for whoever opens one. */
export interface PipeEvents {
  onOutput(bytes: Buffer): void;
  /** Called once: the server has ended, or its machine is lost. */
  onClosed(error: FirebreakError): void;
}

/** The call that a request is of, for transports that tell of which one a question or a log line is. */
export interface RequestCaller {
  /** Throws RpcError where the client cannot be asked. */
  ask(method: string, params: Record<string, unknown>, signal: AbortSignal): Promise<Record<string, unknown>>;
  log(params: Record<string, unknown>): void;
}

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  /** Hears `notifications/progress` of this request, without their token. */
  onProgress?: ((params: Record<string, unknown>) => void) | undefined;
  timeoutMs?: number | undefined;
  caller?: RequestCaller | undefined;
  /** Hears what the request is called on the way. */
  onId?: ((id: RpcId) => void) | undefined;
}

/** JSON-RPC with one MCP server, whatever carries it. */
export interface Peer {
  readonly pendingCount: number;
  readonly isClosed: boolean;
  /** Resolves when the server has ended, or has been let go of. */
  readonly ended: Promise<void>;
  /** Throws RpcError, SERVER_FAILED, DEADLINE_EXCEEDED, OPERATION_CANCELED. */
  request(method: string, params: Record<string, unknown>, options?: RequestOptions): Promise<Record<string, unknown>>;
  /** Never throws: who does not listen any more needs no news. */
  notify(method: string, params?: Record<string, unknown>): void;
  /** Lets go of the server, which goes on. */
  close(): void;
}

export interface RpcPeerOptions {
  /** For errors. */
  server: string;
  onNotification: (method: string, params: Record<string, unknown>) => void;
  /** Answers a request of the server's. Throws RpcError for an answer that is one. */
  onRequest: (method: string, params: Record<string, unknown>, signal: AbortSignal) => Promise<Record<string, unknown>>;
  /** Others have asked this server before, and what it answered them may be read once more. */
  isResumed?: boolean;
  /** A line that is no message, or a message that nobody waits for. */
  onNoise: (what: string) => void;
  /** Called once, after all that was under way has failed. */
  onClosed: (error: FirebreakError) => void;
}

interface Pending {
  resolve: (result: Record<string, unknown>) => void;
  reject: (error: Error) => void;
  onProgress: RequestOptions["onProgress"];
}

/** JSON-RPC with one MCP server over its standard input and output. */
export class RpcPeer implements Peer {
  readonly #options: RpcPeerOptions;
  readonly #pending = new Map<RpcId, Pending>();
  readonly #inbound = new Map<RpcId, AbortController>();
  readonly #lines: LineSplitter;
  readonly #ended = Promise.withResolvers<void>();
  #unread = 0;
  #pipe: ServerPipe | undefined;
  #closed: FirebreakError | undefined;
  /** Ids of another attachment to the same server are never ours: a late answer to one of them is for nobody. */
  readonly #firstId = randomInt(1, 2 ** 46);
  #nextId = this.#firstId;

  constructor(options: RpcPeerOptions) {
    this.#options = options;
    this.#lines = new LineSplitter({
      onLine: (line) => this.#receive(line),
      onTooLong: (edges) => this.#giveUpOn(edges, "a line of more than 16 MiB"),
    });
  }

  /** What the pipe that is given to `attach` tells. */
  get events(): PipeEvents {
    return { onOutput: (bytes) => this.#lines.push(bytes), onClosed: (error) => this.#close(error) };
  }

  attach(pipe: ServerPipe): void {
    if (this.#closed !== undefined) pipe.close();
    this.#pipe = pipe;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Resolves when the server has ended, or has been let go of. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Throws RpcError, SERVER_FAILED when the server ends meanwhile, DEADLINE_EXCEEDED, OPERATION_CANCELED. */
  async request(method: string, params: Record<string, unknown>, options: RequestOptions = {}) {
    const { signal, onProgress, timeoutMs, onId } = options;
    const { server } = this.#options;
    if (this.#closed !== undefined) throw this.#closed;
    if (signal?.aborted) throw canceled(server);
    if (this.#pending.size >= MAX_PENDING)
      throw new FirebreakError("SERVER_BUSY", `the server '${server}' has ${MAX_PENDING} calls under way`);
    const id = this.#nextId++;
    onId?.(id);
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
    this.#pending.set(id, { resolve, reject, onProgress });
    const giveUp = (error: FirebreakError, reason: string) => {
      if (!this.#pending.delete(id)) return;
      this.notify("notifications/cancelled", { requestId: id, reason });
      reject(error);
    };
    const onAbort = () => giveUp(canceled(server), "the client has cancelled it");
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => giveUp(late(server, method, timeoutMs), "it took too long"), timeoutMs);
    try {
      const meta =
        onProgress === undefined ? {} : { _meta: { ...(params._meta as object | undefined), progressToken: id } };
      // A server that does not read keeps nobody waiting for longer than they want to.
      this.#send({ jsonrpc: "2.0", id, method, params: { ...params, ...meta } }).catch(reject);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#pending.delete(id);
    }
  }

  /** Never throws: who does not listen any more needs no news. */
  notify(method: string, params: Record<string, unknown> = {}): void {
    this.#send({ jsonrpc: "2.0", method, params }).catch(() => {});
  }

  /** Lets go of the server, which goes on. */
  close(): void {
    this.#close(new FirebreakError("OPERATION_CANCELED", `the server '${this.#options.server}' has been let go of`));
    this.#pipe?.close();
  }

  async #send(message: Record<string, unknown>): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#pipe === undefined) throw new FirebreakError("INTERNAL", "nothing is attached to the server");
    const line = `${JSON.stringify(message)}\n`;
    if (this.#unread + line.length > MAX_UNREAD)
      throw new FirebreakError("SERVER_BUSY", `the server '${this.#options.server}' does not read what it is sent`);
    this.#unread += line.length;
    try {
      await this.#pipe.write(line, traceHeaders(message.params));
    } finally {
      this.#unread -= line.length;
    }
  }

  #receive(line: Buffer): void {
    const message = parseMessage(line);
    if (message === undefined) return void this.#giveUpOn(line, preview(line));
    if (message.kind === "request") return void this.#answer(message);
    if (message.kind === "notification") return void this.#hear(message);
    const pending = message.id === null ? undefined : this.#pending.get(message.id);
    if (message.id === null || pending === undefined) {
      if (this.#options.isResumed !== true || this.#hasAsked(message.id))
        this.#options.onNoise("an answer to what nobody asks");
      return;
    }
    this.#pending.delete(message.id);
    if (message.kind === "result") pending.resolve(message.result);
    else pending.reject(new RpcError(message.error));
  }

  #hasAsked(id: RpcId | null): boolean {
    return typeof id === "number" && id >= this.#firstId && id < this.#nextId;
  }

  /** What is no message may be meant for an answer: whoever waits for that gets none. */
  #giveUpOn(line: Buffer, what: string): void {
    const { server, onNoise } = this.#options;
    onNoise(what);
    for (const id of findAnsweredIds(line)) {
      const error = new FirebreakError(
        "SERVER_PROTOCOL_ERROR",
        `the server '${server}' has answered with what is no message, or is larger than 16 MiB`,
        { details: { server } },
      );
      this.#pending.get(id)?.reject(error);
      this.#pending.delete(id);
    }
  }

  #hear({ method, params }: { method: string; params: Record<string, unknown> }): void {
    if (method === "notifications/progress") {
      const { progressToken, ...rest } = params;
      return void this.#pending.get(progressToken as RpcId)?.onProgress?.(rest);
    }
    if (method === "notifications/cancelled") return void this.#inbound.get(params.requestId as RpcId)?.abort();
    this.#options.onNotification(method, params);
  }

  async #answer({ id, method, params }: Extract<RpcMessage, { kind: "request" }>): Promise<void> {
    const aborter = new AbortController();
    const answer = async (): Promise<Record<string, unknown>> => {
      if (method === "ping") return { result: {} };
      if (this.#inbound.size >= MAX_INBOUND || this.#inbound.has(id))
        return { error: { code: RPC_CODE.invalidRequest, message: "too many requests at once, or an id twice" } };
      this.#inbound.set(id, aborter);
      try {
        return { result: await this.#options.onRequest(method, params, aborter.signal) };
      } catch (thrown) {
        return { error: toRpcError(thrown) };
      } finally {
        this.#inbound.delete(id);
      }
    };
    const body = await answer();
    await this.#send({ jsonrpc: "2.0", id, ...body }).catch(() => {});
  }

  #close(error: FirebreakError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    for (const aborter of this.#inbound.values()) aborter.abort();
    this.#lines.reset();
    this.#ended.resolve();
    this.#options.onClosed(error);
  }
}

/** What a request is answered with that could not be. */
export function toRpcError(thrown: unknown): RpcErrorBody {
  if (!(thrown instanceof RpcError)) return { code: RPC_CODE.internal, message: toFirebreakError(thrown).message };
  const { code, message, data } = thrown;
  return { code, message, ...(data === undefined ? {} : { data }) };
}

export function canceled(server: string): FirebreakError {
  return new FirebreakError("OPERATION_CANCELED", `the call of the server '${server}' has been cancelled`);
}

export function late(server: string, method: string, timeoutMs: number): FirebreakError {
  return new FirebreakError(
    "DEADLINE_EXCEEDED",
    `the server '${server}' did not answer ${method} within ${timeoutMs} ms`,
  );
}

/** What a line begins with, fit for a log. */
export function preview(line: Buffer): string {
  return JSON.stringify(line.subarray(0, 200).toString("utf8"));
}

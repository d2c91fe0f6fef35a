import type { ClientRequest, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { API_VERSION_HEADER } from "../contract/api-version.ts";
import type { StreamLine } from "../contract/daemon.ts";
import type { ExecRequest, Progress, RunRequest } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { writeTraceContext } from "../telemetry/trace-context.ts";
import { currentContext } from "../telemetry/tracing.ts";
import type { Endpoint } from "./endpoint.ts";
import { type ExecControl, ExecStream } from "./exec-stream.ts";

export interface CallOptions {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** `isPeek`: looking is no use of the VM, which has to run, and is suspended as if nobody had looked. */
export interface PeekOptions extends CallOptions {
  isPeek?: boolean;
}

export interface RawOptions {
  query?: Record<string, string | number | boolean | readonly string[] | undefined>;
  body?: Readable | string;
  contentType?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

type AnswerLine<T> = Exclude<StreamLine<T>, { error: unknown }>;

/** Requests to a daemon, in the forms that its answers have. */
export class DaemonHttp {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  async json<T>(
    method: string,
    path: string,
    options: CallOptions = {},
    body?: unknown,
    query: RawOptions["query"] = {},
  ): Promise<T> {
    const raw: RawOptions = { query, ...signalOf(options) };
    if (body !== undefined) Object.assign(raw, { body: JSON.stringify(body), contentType: "application/json" });
    const text = await readText(await this.raw(method, path, raw));
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async lines<T>(
    method: string,
    path: string,
    body: unknown,
    options: CallOptions,
    headers: Record<string, string> = {},
  ): Promise<T> {
    return this.#readAnswer(
      await this.raw(method, path, {
        body: JSON.stringify(body),
        contentType: "application/json",
        headers,
        ...signalOf(options),
      }),
      options,
    );
  }

  /** The same for a body of bytes, which the daemon takes whole before it begins to answer. */
  async upload<T>(path: string, query: RawOptions["query"], body: Readable, options: CallOptions): Promise<T> {
    const contentType = "application/octet-stream";
    return this.#readAnswer(await this.raw("POST", path, { query, body, contentType, ...signalOf(options) }), options);
  }

  async #readAnswer<T>(response: IncomingMessage, options: CallOptions): Promise<T> {
    for await (const line of this.#answerLines<T>(response)) {
      if ("result" in line) return line.result;
      options.onProgress?.(line.progress);
    }
    throw daemonGone();
  }

  /** The lines of an answer as they come, the result last. */
  async *progress<T>(method: string, path: string, body: unknown, options: CallOptions): AsyncGenerator<AnswerLine<T>> {
    const contentType = "application/json";
    const response = this.raw(method, path, { body: JSON.stringify(body), contentType, ...signalOf(options) });
    yield* this.#answerLines<T>(await response);
  }

  /** Throws the error that an answer ends with. */
  async *#answerLines<T>(response: IncomingMessage): AsyncGenerator<AnswerLine<T>> {
    for await (const line of readLines<StreamLine<T>>(response)) {
      if ("error" in line) throw FirebreakError.fromBody(line.error);
      yield line;
    }
  }

  /** The lines of an answer that goes on until its reader leaves; throws DAEMON_UNAVAILABLE when the daemon ends before that. */
  async *follow<T>(path: string, query: RawOptions["query"], options: CallOptions): AsyncGenerator<T> {
    yield* readLines<T>(await this.raw("GET", path, { query: query ?? {}, ...signalOf(options) }));
  }

  /** A command's streams. `vm` is unknown where the daemon makes the VM for it. */
  async execStream(
    client: ExecControl,
    path: string,
    spec: ExecRequest | RunRequest | undefined,
    options: CallOptions,
    vm: string | undefined,
  ): Promise<ExecStream> {
    const { request, response } = this.#request("POST", path, {
      contentType: "application/x-firebreak-frames",
      ...signalOf(options),
    });
    const stream = new ExecStream({
      client,
      request,
      ...(vm === undefined ? {} : { vm }),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
    if (spec === undefined) request.flushHeaders();
    else stream.sendSpec(spec);
    stream.setResponse(await response);
    return stream;
  }

  async raw(method: string, path: string, options: RawOptions = {}): Promise<IncomingMessage> {
    const { request, response } = this.#request(method, path, options);
    if (options.body === undefined || typeof options.body === "string") request.end(options.body);
    else {
      // A refusal (full disk, unknown VM) comes before the body's end: the answer counts, and the rest need not be sent.
      const body = options.body;
      let isAnswered = false;
      const stop = () => {
        isAnswered = true;
        if (!request.writableEnded) body.unpipe(request);
        body.destroy();
      };
      response.then(stop, stop);
      body.once("error", (error) => isAnswered || request.destroy(error));
      body.pipe(request);
    }
    return response;
  }

  #request(
    method: string,
    path: string,
    options: RawOptions,
  ): { request: ClientRequest; response: Promise<IncomingMessage> } {
    const pairs = Object.entries(options.query ?? {}).filter(([, value]) => value !== undefined);
    const search = pairs
      .flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => [key, one]))
      .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`)
      .join("&");
    const request = this.#endpoint.open({
      method,
      path: search === "" ? path : `${path}?${search}`,
      headers: {
        // The daemon must not close after its answer: what we still send then would take the unread answer with it.
        connection: "keep-alive",
        ...writeTraceContext(currentContext() ?? {}),
        ...(options.contentType === undefined ? {} : { "content-type": options.contentType }),
        ...options.headers,
      },
      ...signalOf(options),
    });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", (incoming) => {
        const mismatch = this.#endpoint.explainVersion(path, incoming.headers[API_VERSION_HEADER]);
        if (mismatch !== undefined) {
          request.destroy();
          return reject(mismatch);
        }
        if ((incoming.statusCode ?? 500) < 400) return resolve(incoming);
        // A request that is refused before its end would keep the connection, and us with it, until the daemon's patience ends.
        const refused = readText(incoming).finally(() => request.destroy());
        refused.then((text) => reject(errorOf(text, incoming.statusCode)), reject);
      });
      request.on("error", (error: NodeJS.ErrnoException) =>
        reject(this.#endpoint.explainFailure(error) ?? translateRequestError(error)),
      );
    });
    response.catch(() => {}); // whoever awaits it hears it
    return { request, response };
  }
}

export function signalOf(options: { signal?: AbortSignal }): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

function errorOf(text: string, status: number | undefined): FirebreakError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return FirebreakError.fromBody(error);
  } catch {
    return new FirebreakError("DAEMON_UNAVAILABLE", `the daemon answered ${status} without an error body`);
  }
}

function daemonGone(): FirebreakError {
  return new FirebreakError("DAEMON_UNAVAILABLE", "the daemon ended during the request", {
    hint: "Its log: firebreak daemon status",
  });
}

function translateRequestError(error: NodeJS.ErrnoException): FirebreakError {
  // What was to be sent could not be read: that is no fault of the daemon's.
  if (error instanceof FirebreakError) return error;
  if (error.name === "AbortError")
    return new FirebreakError("OPERATION_CANCELED", "the request was cancelled", { cause: error });
  return new FirebreakError(
    "DAEMON_UNAVAILABLE",
    `the daemon broke the connection off (${error.code ?? error.message})`,
    { cause: error },
  );
}

/** The JSON values of an x-ndjson answer; empty lines keep the connection alive. */
async function* readLines<T>(response: IncomingMessage): AsyncGenerator<T> {
  response.setEncoding("utf8");
  let partial = "";
  for await (const text of translated(response as AsyncIterable<string>)) {
    const lines = (partial + text).split("\n");
    partial = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield JSON.parse(line) as T;
  }
}

/** A stream whose breaking off is the daemon's end, not a defect. */
async function* translated<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    throw translateRequestError(error as NodeJS.ErrnoException);
  }
}

export async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } catch (error) {
    throw translateRequestError(error as NodeJS.ErrnoException);
  }
  return Buffer.concat(chunks).toString("utf8");
}

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import type { Message } from "./aws-sigv4.ts";
import { Exchange, HOP_HEADERS, type OpenedFlow } from "./exchange.ts";

const MAX_HEADER_BYTES = 64 * 1024;
/** A client that has said nothing yet, or stops in the middle of a request's head. */
const HEADERS_DEADLINE_MS = 60_000;
const DEADLINE_CHECK_MS = 5_000;

interface Context {
  flow: OpenedFlow;
  agent: http.Agent;
  /** The host cannot be had: every request is told so. */
  failure?: string;
  /** Requests that have come and are not answered to their end. */
  underWay: number;
}

/** Serves the guest's end of flows that speak HTTP/1.1. One for all flows: each connection brings its own context. */
export class Http1Server {
  readonly #contexts = new WeakMap<Duplex, Context>();
  readonly #server = http.createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_DEADLINE_MS,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    connectionsCheckingInterval: DEADLINE_CHECK_MS,
  });

  constructor() {
    this.#server.on("request", (request, response) => void this.#answer(request, response));
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuseHead(error, socket));
    // Node looks after deadlines of servers that listen; this one is given its connections, and never does.
    this.#server.emit("listening");
  }

  serve(socket: Duplex, flow: OpenedFlow, failure?: string): void {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const connect = () => (flow.isTls ? flow.upstream.secure(["http/1.1"]) : flow.upstream.plain());
    agent.createConnection = (_options, done) => {
      connect().then(
        (opened) => done?.(null, opened),
        (error: Error) => done?.(error, undefined as never),
      );
      return undefined as never;
    };
    this.#contexts.set(socket, { flow, agent, underWay: 0, ...(failure === undefined ? {} : { failure }) });
    socket.once("close", () => agent.destroy());
    this.#server.emit("connection", socket);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const context = this.#contexts.get(request.socket) as Context; // every connection came by `serve`
    response.on("error", () => {});
    request.on("error", () => {});
    context.underWay++;
    response.once("close", () => context.underWay--);
    if (context.failure !== undefined) return say(response, 502, context.failure);
    const exchange = new Exchange(context.flow);
    const { method = "GET", url = "/" } = request;
    const refusal = exchange.refuse(method, url, request.headers.host);
    if (refusal !== undefined) return say(response, refusal.status, refusal.why);
    try {
      // Of a request that is refused half-way, the answer must get through.
      const pieces = () => request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      const { refusal: later, body } = await exchange.take(messageOf(request), pieces, {
        type: request.headers["content-type"] ?? "",
        length: Number(request.headers["content-length"] ?? "0"),
      });
      if (later !== undefined) return say(response, later.status, later.why);
      const options = this.#forward(context, exchange, request, body);
      const upstream = http.request(options);
      response.once("close", () => upstream.destroy());
      upstream.once("error", (error) => {
        const why = toFirebreakError(error).message;
        exchange.failed(why);
        if (response.headersSent) response.destroy();
        else say(response, 502, why);
      });
      upstream.once("response", (answer) => pass(answer, response, exchange));
      upstream.on("information", ({ statusCode }) => {
        if (statusCode === 102) response.writeProcessing();
      });
      if (body !== undefined) upstream.end(body);
      else
        exchange.passBody(request, upstream, ({ status, why }) => {
          // What it says of its end is not what the guest is to be told.
          upstream.removeAllListeners("error").on("error", () => {});
          upstream.destroy();
          if (response.headersSent) response.destroy();
          else say(response, status, why);
        });
    } catch (error) {
      say(response, 502, toFirebreakError(error).message);
    }
  }

  /** What is no request, or none that anybody reads to its end. */
  #refuseHead(error: NodeJS.ErrnoException, socket: Duplex): void {
    // What comes after a refusal is not looked at.
    if (!socket.writable) return;
    const context = this.#contexts.get(socket);
    const [status, why] = judgeHead(error);
    // Within an answer it would be taken for a part of that.
    if (context === undefined || status === undefined || context.underWay > 0) {
      socket.destroy();
      return;
    }
    const refusal = new Exchange(context.flow).deny(status, why);
    sayRaw(socket, refusal.status, refusal.why);
  }

  #forward(
    { flow, agent }: Context,
    exchange: Exchange,
    request: IncomingMessage,
    body: Buffer | undefined,
    more: string[] = [],
  ): http.RequestOptions {
    const path = exchange.path(request.url ?? "/");
    let headers = headersOf(request.rawHeaders, (name, value) => exchange.header(name, value));
    exchange.noteMisplaced();
    // What comes back is looked through for the values.
    if (exchange.substitution.used.size > 0)
      headers = [...without(headers, "accept-encoding"), "Accept-Encoding", "identity"];
    if (body !== undefined) headers = [...without(headers, "content-length"), "Content-Length", String(body.length)];
    else if (request.headers["transfer-encoding"] !== undefined) headers.push("Transfer-Encoding", "chunked");
    // The one that was looked at: of several, servers take one or another.
    headers = ["Host", request.headers.host ?? flow.name, ...without(headers, "host")];
    const method = request.method ?? "GET";
    const { target, set } = exchange.sign({ method, target: path, headers: pairs(headers) }, body);
    for (const [name, value] of set) headers = [...without(headers, name), name, value];
    return {
      agent,
      host: flow.name,
      port: flow.port,
      method,
      path: target,
      headers: [...headers, ...more],
      setDefaultHeaders: false,
    };
  }

  /** A WebSocket, say: after the handshake its bytes are nobody's business. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const context = this.#contexts.get(request.socket) as Context; // every connection came by `serve`
    socket.on("error", () => {});
    const exchange = new Exchange(context.flow);
    const refusal =
      context.failure === undefined
        ? exchange.refuse(request.method ?? "GET", request.url ?? "/", request.headers.host)
        : { status: 502, why: context.failure };
    if (refusal !== undefined) return sayRaw(socket, refusal.status, refusal.why);
    const upgrade = ["Connection", "Upgrade", "Upgrade", String(request.headers.upgrade)];
    let options: http.RequestOptions;
    try {
      const { refusal: later } = await exchange.take(messageOf(request), none, { type: "", length: 0 });
      if (later !== undefined) return sayRaw(socket, later.status, later.why);
      options = this.#forward(context, exchange, request, undefined, upgrade);
    } catch (error) {
      return sayRaw(socket, 502, toFirebreakError(error).message);
    }
    const upstream = http.request(options);
    socket.once("close", () => upstream.destroy());
    upstream.once("error", (error) => sayRaw(socket, 502, toFirebreakError(error).message));
    upstream.once("response", (answer) => {
      socket.write(headOf(answer));
      answer.pipe(socket);
    });
    upstream.once("upgrade", (answer, upgraded, rest) => {
      socket.write(headOf(answer));
      if (rest.length > 0) socket.write(rest);
      if (head.length > 0) upgraded.write(head);
      upgraded.on("error", () => socket.destroy());
      socket.once("close", () => upgraded.destroy());
      upgraded.once("close", () => socket.destroy());
      upgraded.pipe(socket);
      socket.pipe(upgraded);
    });
    upstream.end();
  }
}

/** Without a status: nobody is there to be told. */
function judgeHead({ code = "" }: NodeJS.ErrnoException): [status: number | undefined, why: string] {
  if (code === "HPE_HEADER_OVERFLOW") return [431, `a request's head is larger than ${MAX_HEADER_BYTES / 1024} KiB`];
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return [408, `no request in ${HEADERS_DEADLINE_MS / 1000} s`];
  return code.startsWith("HPE_") ? [400, "what the client sends is no request"] : [undefined, ""];
}

function messageOf({ method = "GET", url = "/", rawHeaders }: IncomingMessage): Message {
  return { method, target: url, headers: pairs(rawHeaders) };
}

/** The body of a request that becomes something else. */
async function* none(): AsyncGenerator<Buffer> {}

function pass(answer: IncomingMessage, response: ServerResponse, exchange: Exchange): void {
  const scrubber = exchange.scrubber();
  const scrubText = (_name: string, value: string) => {
    const fresh = exchange.scrubber();
    return Buffer.concat([fresh.push(Buffer.from(value, "latin1")), fresh.end()]).toString("latin1");
  };
  const headers = headersOf(answer.rawHeaders, scrubText);
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
  answer.on("error", () => response.destroy());
  answer.on("data", (chunk: Buffer) => {
    const ready = scrubber.push(chunk);
    if (ready.length > 0 && !response.write(ready)) {
      answer.pause();
      response.once("drain", () => answer.resume());
    }
  });
  answer.once("end", () => {
    const trailers = headersOf(answer.rawTrailers, scrubText);
    if (trailers.length > 0) response.addTrailers(pairs(trailers));
    response.end(scrubber.end());
  });
  answer.once("close", () => {
    // One that was cut off must not look complete.
    if (!answer.complete) response.destroy();
  });
}

/** Name and value in turn, as they were sent, without what is of one hop. */
function headersOf(raw: readonly string[], change: (name: string, value: string) => string): string[] {
  return pairs(raw)
    .filter(([name]) => !HOP_HEADERS.has(name.toLowerCase()))
    .flatMap(([name, value]) => [name, change(name, value)]);
}

function without(headers: readonly string[], unwanted: string): string[] {
  return pairs(headers)
    .filter(([name]) => name.toLowerCase() !== unwanted)
    .flat();
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index] as string, raw[2 * index + 1] as string]);
}

function headOf(answer: IncomingMessage): string {
  const lines = pairs(answer.rawHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${lines.join("")}\r\n`;
}

function say(response: ServerResponse, status: number, why: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" });
  response.end(`firebreak: ${why}\n`);
}

function sayRaw(socket: Duplex, status: number, why: string): void {
  if (socket.destroyed || !socket.writable) return;
  const text = `firebreak: ${why}\n`;
  const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\nContent-Type: text/plain; charset=utf-8\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`);
}

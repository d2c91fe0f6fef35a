import { once } from "node:events";
import http, { type IncomingMessage, type RequestListener, type Server } from "node:http";
import { type AddressInfo, isIPv6, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { isWebSocketUpgrade } from "./listener.ts";

/** A request's head: what a caller without a key can make the daemon hold, and for how long. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_DEADLINE_MS = 10_000;
const CHECK_INTERVAL_MS = 1_000;
/** More than any client opens at once; keeps strangers from taking all of the daemon's descriptors. */
const MAX_CONNECTIONS = 512;
/** A peer that has gone without a word is noticed by the kernel's probes, which begin after this long. */
const PROBE_AFTER_MS = 30_000;

export interface TcpHandlers {
  onRequest: RequestListener;
  onUpgrade: (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;
  onError: (error: Error) => void;
}

/** An HTTP server on TCP that strangers may reach: what a connection may take before its caller is known is bounded. */
export class TcpListener {
  readonly #server: Server;
  /** All its connections: HTTP forgets those that have been upgraded. */
  readonly #sockets = new Set<Socket>();

  port = 0;
  url = "";

  private constructor(handlers: TcpHandlers) {
    this.#server = http.createServer(
      {
        maxHeaderSize: MAX_HEAD_BYTES,
        headersTimeout: HEAD_DEADLINE_MS,
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
        // A command's streams are one request that lasts as long as the command; the head's deadline is enough for strangers.
        requestTimeout: 0,
        keepAliveTimeout: 30_000,
        shouldUpgradeCallback: isWebSocketUpgrade,
        keepAlive: true,
        keepAliveInitialDelay: PROBE_AFTER_MS,
      },
      handlers.onRequest,
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on("upgrade", handlers.onUpgrade);
    this.#server.on("clientError", answerMalformed);
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Throws what listening throws: EADDRINUSE, EADDRNOTAVAIL, EACCES. */
  static async open(address: string, port: number, handlers: TcpHandlers): Promise<TcpListener> {
    const listener = new TcpListener(handlers);
    listener.#server.listen(port, address);
    await once(listener.#server, "listening");
    listener.#server.on("error", handlers.onError);
    const bound = listener.#server.address() as AddressInfo; // it listens on TCP
    listener.port = bound.port;
    listener.url = `http://${isIPv6(bound.address) ? `[${bound.address}]` : bound.address}:${bound.port}`;
    return listener;
  }

  /** Takes no more connections; those that are there may go on until `end`. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Hangs up on everybody. */
  async end(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, "close") : Promise.resolve();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

const MALFORMED: Record<string, { status: string; message: string }> = {
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    message: `a request's head has at most ${MAX_HEAD_BYTES / 1024} KiB`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    message: `a request's head is sent within ${HEAD_DEADLINE_MS / 1000} s`,
  },
};

/** Bytes that are no request: answered where there is still somebody to answer, and hung up on. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const { status, message } = MALFORMED[error.code ?? ""] ?? {
    status: "400 Bad Request",
    message: "not an HTTP request",
  };
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const body = new FirebreakError(tooLarge ? "REQUEST_TOO_LARGE" : "INVALID_ARGUMENT", message).toBody();
  const text = JSON.stringify({ error: body });
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
}

import { lookup } from "node:dns/promises";
import { once } from "node:events";
import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, BlockList, isIPv6, type Socket } from "node:net";
import { type ListenRequest, type ListenStatus, listenSchema, parseAddress } from "../contract/listen.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { SqliteSettings } from "../store/settings.ts";
import { Mutex } from "../vms/mutex.ts";
import type { Caller } from "./api/context.ts";
import { refuseUpgrade } from "./api/exec-socket.ts";
import type { KeyRing } from "./keys.ts";
import { isWebSocketUpgrade, type OnUpgrade } from "./listener.ts";
import { challenge, RequestGuard, refuse } from "./request-guard.ts";

const SETTING = "listen";
/** A request's head: what a caller without a key can make the daemon hold, and for how long. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_DEADLINE_MS = 10_000;
const CHECK_INTERVAL_MS = 1_000;
/** More than any client opens at once; keeps strangers from taking all of the daemon's descriptors. */
const MAX_CONNECTIONS = 512;
/** A peer that has gone without a word is noticed by the kernel's probes, which begin after this long. */
const PROBE_AFTER_MS = 30_000;
/** Refusals are logged once in so long, with their number: strangers must not push everything else out of the log. */
const REFUSAL_LOG_MS = 10_000;

export interface TcpFrontOptions {
  keys: KeyRing;
  settings: SqliteSettings;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** Answers a request of a caller who has a key. */
  serve: (incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller) => void;
  /** Takes over such a caller's connection. */
  upgrade: OnUpgrade;
}

interface Listening {
  server: Server;
  /** All its connections: HTTP forgets those that have been upgraded. */
  sockets: Set<Socket>;
  url: string;
}

/** The API over TCP: off until it is asked for, then kept for the daemons after this one. Every request needs an API key, from this host too. */
export class TcpFront {
  readonly #options: TcpFrontOptions;
  readonly #mutex = new Mutex();
  readonly #guard: RequestGuard;
  readonly #sockets = new Map<string, Set<Socket>>();
  #wanted: { address: string; allowedHosts: string[] } | undefined;
  #listening: Listening | undefined;
  #error: string | undefined;
  #refusals = 0;
  #lastRefusalLogMs = 0;

  constructor(options: TcpFrontOptions) {
    this.#options = options;
    this.#guard = new RequestGuard({ keys: options.keys, allowedHosts: () => this.#allowedHosts() });
  }

  /** Listens where an earlier daemon was told to. A failure is told by `status`: the UNIX socket serves all the same. */
  async start(): Promise<void> {
    const stored = listenSchema.safeParse(this.#options.settings.get(SETTING));
    if (!stored.success) return;
    await this.#mutex.run(async () => {
      this.#wanted = { allowedHosts: [], ...stored.data };
      try {
        this.#listening = await this.#open(this.#wanted.address);
      } catch (thrown) {
        this.#error = toFirebreakError(thrown).message;
        this.#options.log("the daemon does not listen on TCP", { error: this.#error });
      }
    });
  }

  /** Who makes a request, or an upgrade; throws what the guard does. The connection goes with the key that came over it. */
  #admit(incoming: IncomingMessage): Caller {
    const caller = this.#guard.check(incoming);
    if (caller.via === "tcp") this.#follow(caller.key.id, incoming.socket);
    return caller;
  }

  /** Ends the connections of a key that has been revoked. */
  hangUp(keyId: string): void {
    for (const socket of this.#sockets.get(keyId) ?? []) socket.destroy();
  }

  #follow(keyId: string, socket: Socket): void {
    const sockets = this.#sockets.get(keyId) ?? new Set();
    if (sockets.has(socket)) return;
    this.#sockets.set(keyId, sockets.add(socket));
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) this.#sockets.delete(keyId);
    });
  }

  status(): ListenStatus | undefined {
    if (this.#wanted === undefined) return undefined;
    return {
      ...this.#wanted,
      ...(this.#listening === undefined ? {} : { url: this.#listening.url }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  /** Listens there from now on, instead of where it did. Throws LISTEN_NEEDS_KEY or LISTEN_FAILED, and leaves all as it was then. */
  listen(request: ListenRequest): Promise<ListenStatus> {
    return this.#mutex.run(async () => {
      const wanted = { address: request.address, allowedHosts: request.allowedHosts ?? [] };
      const before = { wanted: this.#wanted, listening: this.#listening };
      const isSame = before.wanted?.address === wanted.address && before.listening !== undefined;
      const { port } = parseAddress(wanted.address);
      // Two sockets cannot share a port, were it that of all addresses and that of one.
      const mustClose = !isSame && port !== 0 && before.listening?.url.endsWith(`:${port}`) === true;
      if (mustClose) await this.#close();
      try {
        const listening = isSame ? before.listening : await this.#open(wanted.address);
        try {
          this.#options.settings.set(SETTING, wanted);
        } catch (error) {
          if (!isSame) await endServer(listening);
          throw error;
        }
        if (!isSame && !mustClose) await this.#close();
        this.#listening = listening;
        this.#wanted = wanted;
        this.#error = undefined;
      } catch (error) {
        if (mustClose && before.wanted !== undefined) this.#listening = await this.#open(before.wanted.address);
        throw error;
      }
      this.#options.log("the daemon listens on TCP", { url: this.#listening?.url });
      return this.status() as ListenStatus; // just set
    });
  }

  /** Listens on the UNIX socket only from now on; requests under way over TCP are cut off. */
  unlisten(): Promise<void> {
    return this.#mutex.run(async () => {
      this.#options.settings.remove(SETTING);
      this.#wanted = undefined;
      this.#error = undefined;
      await this.#close();
    });
  }

  /** Takes no more connections; those that are there may go on until `end`. */
  stopAccepting(): void {
    this.#listening?.server.close();
  }

  end(): Promise<void> {
    return this.#close();
  }

  async #close(): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    await endServer(listening);
  }

  #allowedHosts(): string[] {
    const { allowedHosts = [], address } = this.#wanted ?? {};
    const own = address === undefined ? [] : [parseAddress(address).host];
    return [...allowedHosts, ...own].map((host) => host.toLowerCase());
  }

  async #open(address: string): Promise<Listening> {
    const { host, port } = parseAddress(address);
    try {
      const resolved = (await lookup(host, { order: "ipv4first" })).address;
      if (!isLoopback(resolved) && !this.#options.keys.hasUsable()) {
        throw new FirebreakError("LISTEN_NEEDS_KEY", `${host} is reached from other hosts, and there is no API key`, {
          hint: "Make one first: firebreak key create",
        });
      }
      const server = this.#createServer();
      const sockets = new Set<Socket>();
      server.on("connection", (socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      });
      server.listen(port, resolved);
      await once(server, "listening");
      server.on("error", (error) => this.#options.log("the TCP listener failed", { error: error.message }));
      const bound = server.address() as AddressInfo; // it listens on TCP
      return {
        server,
        sockets,
        url: `http://${isIPv6(bound.address) ? `[${bound.address}]` : bound.address}:${bound.port}`,
      };
    } catch (thrown) {
      if (thrown instanceof FirebreakError) throw thrown;
      const reason = (thrown as NodeJS.ErrnoException).code ?? String(thrown);
      throw new FirebreakError("LISTEN_FAILED", `the daemon cannot listen on ${address} (${reason})`, {
        cause: thrown,
        hint: "Choose an address of this host and a port that is free.",
      });
    }
  }

  #createServer(): Server {
    const server = http.createServer(
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
      (incoming, outgoing) => {
        try {
          this.#options.serve(incoming, outgoing, this.#admit(incoming));
        } catch (thrown) {
          const error = toFirebreakError(thrown);
          this.#noteRefusal(error, incoming.socket);
          refuse(incoming, outgoing, error);
        }
      },
    );
    server.on("upgrade", (incoming, socket, head) => {
      try {
        this.#admit(incoming);
      } catch (thrown) {
        const error = toFirebreakError(thrown);
        this.#noteRefusal(error, incoming.socket);
        return refuseUpgrade(socket, error, challenge(error));
      }
      this.#options.upgrade(incoming, socket, head);
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on("clientError", answerMalformed);
    return server;
  }

  #noteRefusal(error: FirebreakError, socket: Socket): void {
    this.#refusals++;
    const now = Date.now();
    if (now - this.#lastRefusalLogMs < REFUSAL_LOG_MS) return;
    this.#options.log("refused over TCP", { code: error.code, from: socket.remoteAddress, count: this.#refusals });
    this.#refusals = 0;
    this.#lastRefusalLogMs = now;
  }
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

function isLoopback(address: string): boolean {
  return LOOPBACK.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

async function endServer(listening: Listening | undefined): Promise<void> {
  if (listening === undefined) return;
  const { server, sockets } = listening;
  const closed = server.listening ? once(server, "close") : Promise.resolve();
  server.close();
  for (const socket of sockets) socket.destroy();
  await closed;
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
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const { status, message } = MALFORMED[error.code ?? ""] ?? {
    status: "400 Bad Request",
    message: "not an HTTP request",
  };
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const body = new FirebreakError(tooLarge ? "REQUEST_TOO_LARGE" : "INVALID_ARGUMENT", message).toBody();
  const text = JSON.stringify({ error: body });
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
  socket.destroySoon();
}

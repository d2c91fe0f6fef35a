import { lookup } from "node:dns/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ListenRequest, type ListenStatus, listenSchema, parseAddress } from "../contract/listen.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { isLoopback } from "../platform/addresses.ts";
import type { SqliteSettings } from "../store/settings.ts";
import { Mutex } from "../vms/mutex.ts";
import type { Caller } from "./api/context.ts";
import { MAX_LOGIN_BYTES } from "./api/session-routes.ts";
import { refuseUpgrade } from "./api/upgrade.ts";
import { DashboardFiles } from "./dashboard/files.ts";
import type { Sessions } from "./dashboard/sessions.ts";
import type { KeyRing } from "./keys.ts";
import type { OnUpgrade } from "./listener.ts";
import { challenge, RequestGuard, refuse } from "./request-guard.ts";
import { TcpListener } from "./tcp-listener.ts";

const SETTING = "listen";
/** How soon the connections of a key whose time is over are ended, ms. */
const EXPIRY_CHECK_MS = 1_000;
/** An address may come later than the daemon, with its network: it is tried again after this long, ms. */
const RETRY_MS = 5_000;
/** Refusals are logged once in so long, with their number: strangers must not push everything else out of the log. */
const REFUSAL_LOG_MS = 10_000;

export interface TcpFrontOptions {
  keys: KeyRing;
  sessions: Sessions;
  /** What is shown to anybody: it asks for a key by itself. */
  dashboard: DashboardFiles;
  settings: SqliteSettings;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** Answers a request of a caller who has a key. */
  serve: (incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller) => void;
  /** Takes over such a caller's connection. */
  upgrade: OnUpgrade;
}

interface Wanted {
  address: string;
  allowedHosts: string[];
}

/**
 * The API over TCP, and the dashboard: off until it is asked for, then kept for the daemons after this one. Every request needs an API key or a browser's
 * session, from this host too; but for the dashboard's files and the login itself.
 */
export class TcpFront {
  readonly #options: TcpFrontOptions;
  readonly #mutex = new Mutex();
  readonly #guard: RequestGuard;
  /** Connections by the key that came over them. */
  readonly #sockets = new Map<string, Set<Socket>>();
  readonly #expiryCheck: NodeJS.Timeout;
  #wanted: Wanted | undefined;
  #listener: TcpListener | undefined;
  #error: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #refusals = 0;
  #lastRefusalLogMs = 0;

  constructor(options: TcpFrontOptions) {
    this.#options = options;
    this.#guard = new RequestGuard({
      keys: options.keys,
      sessions: options.sessions,
      allowedHosts: () => this.#allowedHosts(),
    });
    this.#expiryCheck = setInterval(() => this.#hangUpExpired(), EXPIRY_CHECK_MS).unref();
  }

  /** Listens where an earlier daemon was told to. A failure is told by `status`, and the UNIX socket serves all the same. */
  async start(): Promise<void> {
    const stored = listenSchema.safeParse(this.#options.settings.get(SETTING));
    if (!stored.success) return;
    this.#wanted = { allowedHosts: [], ...stored.data };
    await this.#mutex.run(() => this.#reopen());
  }

  status(): ListenStatus | undefined {
    if (this.#wanted === undefined) return undefined;
    return {
      ...this.#wanted,
      ...(this.#listener === undefined ? {} : { url: this.#listener.url }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  /** Listens there from now on, instead of where it did. Throws LISTEN_NEEDS_KEY or LISTEN_FAILED, and leaves all as it was then. */
  listen({ address, allowedHosts = [] }: ListenRequest): Promise<ListenStatus> {
    return this.#mutex.run(async () => {
      const { port } = parseAddress(address);
      const old = this.#listener;
      const isSame = old !== undefined && this.#wanted?.address === address;
      // Two sockets cannot share a port, were it that of all addresses and that of one.
      if (old !== undefined && !isSame && port !== 0 && port === old.port) await this.#close();
      try {
        const listener = isSame ? old : await this.#open(address);
        try {
          this.#options.settings.set(SETTING, { address, allowedHosts });
        } catch (error) {
          if (!isSame) await listener.end();
          throw error;
        }
        if (!isSame) await this.#close();
        this.#listener = listener;
        this.#wanted = { address, allowedHosts };
        this.#error = undefined;
      } finally {
        if (this.#listener === undefined) await this.#reopen();
      }
      this.#options.log("the daemon listens on TCP", { url: this.#listener.url });
      return this.status() as ListenStatus; // just set
    });
  }

  /** Listens on the UNIX socket only from now on; requests under way over TCP are cut off. */
  unlisten(): Promise<void> {
    return this.#mutex.run(async () => {
      this.#options.settings.remove(SETTING);
      this.#wanted = undefined;
      this.#error = undefined;
      clearTimeout(this.#retry);
      await this.#close();
    });
  }

  /** Takes no more connections; those that are there may go on until `end`. */
  stopAccepting(): void {
    clearTimeout(this.#retry);
    this.#listener?.stopAccepting();
  }

  async end(): Promise<void> {
    clearInterval(this.#expiryCheck);
    clearTimeout(this.#retry);
    await this.#close();
  }

  /** Ends the connections of a key that has been revoked, or of a session. */
  hangUp(keyId: string): void {
    for (const socket of this.#sockets.get(keyId) ?? []) socket.destroy();
  }

  /** A stream that outlived its key would be a way around the key's end. */
  #hangUpExpired(): void {
    const { keys, sessions } = this.#options;
    for (const id of this.#sockets.keys()) if (!keys.isUsable(id) && !sessions.isUsable(id)) this.hangUp(id);
  }

  async #close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.end();
  }

  /** Listens where that is wanted; when it cannot, says why and tries again later. */
  async #reopen(): Promise<void> {
    if (this.#wanted === undefined || this.#listener !== undefined) return;
    try {
      this.#listener = await this.#open(this.#wanted.address);
      this.#error = undefined;
      this.#options.log("the daemon listens on TCP", { url: this.#listener.url });
    } catch (thrown) {
      const { message } = toFirebreakError(thrown);
      if (message !== this.#error) this.#options.log("the daemon does not listen on TCP", { error: message });
      this.#error = message;
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => void this.#mutex.run(() => this.#reopen()), RETRY_MS).unref();
    }
  }

  async #open(address: string): Promise<TcpListener> {
    const { host, port } = parseAddress(address);
    try {
      const { address: resolved } = await lookup(host, { order: "ipv4first" });
      if (!isLoopback(resolved) && !this.#options.keys.hasUsable()) {
        throw new FirebreakError("LISTEN_NEEDS_KEY", `${host} is reached from other hosts, and there is no API key`, {
          hint: "Make one first: firebreak key create",
        });
      }
      return await TcpListener.open(resolved, port, {
        onRequest: (incoming, outgoing) => this.#onRequest(incoming, outgoing),
        onUpgrade: (incoming, socket, head) => this.#onUpgrade(incoming, socket, head),
        onError: (error) => this.#options.log("the TCP listener failed", { error: error.message }),
      });
    } catch (thrown) {
      if (thrown instanceof FirebreakError) throw thrown;
      const reason = (thrown as NodeJS.ErrnoException).code ?? String(thrown);
      throw new FirebreakError("LISTEN_FAILED", `the daemon cannot listen on ${address} (${reason})`, {
        cause: thrown,
        hint: "Choose an address of this host and a port that is free.",
      });
    }
  }

  #onRequest(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const refuseIt = (error: FirebreakError) => refuse(incoming, outgoing, error);
    const file = DashboardFiles.fileOf(incoming);
    if (file !== undefined) {
      if (this.#admit(incoming, refuseIt, STRANGER) !== undefined)
        void this.#options.dashboard.send(file, incoming, outgoing);
      return;
    }
    const caller = this.#admit(incoming, refuseIt, isLogin(incoming) ? STRANGER : undefined);
    if (caller !== undefined) this.#options.serve(incoming, outgoing, caller);
  }

  #onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const caller = this.#admit(incoming, (error) => refuseUpgrade(socket, error, challenge(error)));
    if (caller !== undefined) this.#options.upgrade(incoming, socket, head);
  }

  /** Who makes a request; undefined when it has been refused. `open`: who it is where neither key nor session is asked for. */
  #admit(incoming: IncomingMessage, refuseIt: (error: FirebreakError) => void, open?: Caller): Caller | undefined {
    try {
      if (open !== undefined) {
        this.#guard.checkOrigin(incoming);
        return open;
      }
      const caller = this.#guard.check(incoming);
      if (caller.via === "tcp") this.#follow(caller.session?.id ?? caller.key.id, incoming.socket);
      return caller;
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      this.#noteRefusal(error, incoming.socket);
      refuseIt(error);
      return undefined;
    }
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

  #allowedHosts(): string[] {
    if (this.#wanted === undefined) return [];
    const { address, allowedHosts } = this.#wanted;
    return [...allowedHosts, parseAddress(address).host].map((host) => host.toLowerCase());
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

const STRANGER: Caller = { via: "stranger", key: { id: "", name: "stranger" } };

/** The request for a session, and no other; short, with its length said before. */
function isLogin({ method, url, headers }: IncomingMessage): boolean {
  const length = Number(headers["content-length"] ?? Number.NaN);
  return method === "POST" && url === "/v1/session" && length <= MAX_LOGIN_BYTES && headers.authorization === undefined;
}

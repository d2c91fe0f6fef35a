import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { FirebreakError } from "../errors/firebreak-error.ts";

const PATH = "/callback";

/** Where a browser comes back to from a login: a page on loopback, for as long as a command waits for it (RFC 8252). */
export class LoopbackReturn {
  readonly #server: http.Server;
  readonly #come = Promise.withResolvers<string>();
  #state: string | undefined;
  #browser: ServerResponse | undefined;

  /** `port` 0: any. Throws PORT_IN_USE. */
  static async open(port: number): Promise<LoopbackReturn> {
    const made = new LoopbackReturn();
    made.#server.listen(port, "127.0.0.1");
    try {
      await once(made.#server, "listening");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      throw new FirebreakError("PORT_IN_USE", `another program listens on port ${port} of this host`);
    }
    return made;
  }

  private constructor() {
    this.#server = http.createServer((incoming, outgoing) => this.#answer(incoming, outgoing));
  }

  get redirectUri(): string {
    return `http://${this.#host}${PATH}`;
  }

  get #host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The query of the first return that has that state; all else is turned away. */
  wait(state: string): Promise<string> {
    this.#state = state;
    return this.#come.promise;
  }

  /** Tells whoever looks at the browser what has become of it. */
  tell(text: string): void {
    this.#browser?.end(`${text}\n`);
  }

  close(): void {
    this.#browser?.end();
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    outgoing.setHeader("content-type", "text/plain; charset=utf-8");
    outgoing.setHeader("x-content-type-options", "nosniff");
    outgoing.setHeader("cache-control", "no-store");
    outgoing.setHeader("referrer-policy", "no-referrer");
    outgoing.setHeader("connection", "close");
    const url = new URL(`http://${this.#host}${/^\/[^/]?/.test(incoming.url ?? "") ? incoming.url : "/"}`);
    // Another name for this address is a page that wants to be taken for this one.
    const isOurs = incoming.method === "GET" && url.pathname === PATH && incoming.headers.host === this.#host;
    const isMeant = isOurs && this.#state !== undefined && url.searchParams.get("state") === this.#state;
    if (!isMeant || this.#browser !== undefined) {
      outgoing.statusCode = 404;
      outgoing.end("Nothing waits here for that.\n");
      return;
    }
    this.#browser = outgoing;
    this.#come.resolve(url.search.slice(1));
  }
}

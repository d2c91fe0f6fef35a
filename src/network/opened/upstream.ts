import type { Socket } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { Dialled } from "../connect.ts";

const HANDSHAKE_DEADLINE_MS = 10_000;

/** Connections of one flow to its host: dialled as the policy says, and verified as this host would verify them. */
export class Upstream {
  readonly name: string;
  readonly #dial: () => Promise<Dialled>;
  readonly #roots: () => string[];
  readonly #sockets = new Set<Socket>();
  #address: string | undefined;
  #ended = { sent: 0, received: 0 };

  constructor(name: string, dial: () => Promise<Dialled>, roots: () => string[]) {
    this.name = name;
    this.#dial = dial;
    this.#roots = roots;
  }

  get address(): string | undefined {
    return this.#address;
  }

  /** Of all its connections, as they were on the wire. */
  get traffic(): { sent: number; received: number } {
    const total = { ...this.#ended };
    for (const socket of this.#sockets) {
      total.sent += socket.bytesWritten;
      total.received += socket.bytesRead;
    }
    return total;
  }

  async plain(): Promise<Socket> {
    const { socket, address } = await this.#dial();
    this.#address = address;
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#ended.sent += socket.bytesWritten;
      this.#ended.received += socket.bytesRead;
    });
    return socket;
  }

  /** Throws CONNECTION_FAILED, which says what is wrong with a certificate. */
  async secure(protocols: string[]): Promise<TLSSocket> {
    const socket = await this.plain();
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    const secured = tls.connect({
      socket,
      servername: this.name,
      ALPNProtocols: protocols,
      ca: this.#roots(),
      minVersion: "TLSv1.2",
    });
    const fail = (why: string) =>
      reject(new FirebreakError("CONNECTION_FAILED", `${this.name} cannot be spoken to over TLS: ${why}`));
    const timer = setTimeout(() => fail("its handshake does not end"), HANDSHAKE_DEADLINE_MS);
    secured.once("secureConnect", () => resolve(secured));
    secured.on("error", (error: NodeJS.ErrnoException) => fail(explain(error)));
    secured.once("close", () => fail("it closed the connection"));
    try {
      return await promise;
    } catch (error) {
      secured.destroy();
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function explain(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return `this host does not trust its certificate (${error.code})`;
    case "CERT_HAS_EXPIRED":
      return "its certificate has expired";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return "its certificate is of another name";
    default:
      return error.code ?? error.message;
  }
}

/** What this host trusts: what Node brings along, and the system's. */
export function hostRoots(): string[] {
  roots ??= [...new Set([...tls.getCACertificates("default"), ...tls.getCACertificates("system")])];
  return roots;
}
let roots: string[] | undefined;

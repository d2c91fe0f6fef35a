import { TLSSocket } from "node:tls";
import type { EgressEvent } from "../../contract/egress.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { GrantedSecret } from "../../secrets/service.ts";
import type { Dialled } from "../connect.ts";
import type { EgressLog } from "../egress-log.ts";
import type { CompiledPolicy } from "../rules.ts";
import { isSecretFor } from "../secret-hosts.ts";
import type { Flow, FlowCounts, FlowOpener } from "../vm-egress.ts";
import type { Authority } from "./authority.ts";
import type { OpenedFlow } from "./exchange.ts";
import { guestSide } from "./guest-side.ts";
import { Http1Server } from "./http1.ts";
import { serveHttp2 } from "./http2.ts";
import type { FlowSecret } from "./substitute.ts";
import { hostRoots, Upstream } from "./upstream.ts";

const TLS_HANDSHAKE = 0x16;
/** What a client has to begin to speak in. */
const FIRST_BYTE_DEADLINE_MS = 30_000;
const HANDSHAKE_DEADLINE_MS = 15_000;

export interface OpenerOptions {
  vm: EgressEvent["vm"];
  authority: Authority;
  /** As they are now. */
  secrets: () => GrantedSecret[];
  policy: () => CompiledPolicy;
  dial: (flow: Flow) => Promise<Dialled>;
  log: EgressLog;
  /** Replaced in tests. */
  roots?: () => string[];
}

const http1 = new Http1Server();

/** Opens the TLS of those flows whose requests have to be looked at: a secret goes into them, or methods and paths decide. */
export class Opener implements FlowOpener {
  readonly #options: OpenerOptions;

  constructor(options: OpenerOptions) {
    this.#options = options;
  }

  isOpened({ name, port, verdict }: Pick<Flow, "name" | "port" | "verdict">): boolean {
    return verdict.needsHttp || this.#secretsFor(name, port).some(({ isForHost }) => isForHost);
  }

  #secretsFor(name: string, port: number): FlowSecret[] {
    return this.#options
      .secrets()
      .filter(({ expose }) => expose === "proxy")
      .map((secret) => ({ secret, isForHost: isSecretFor(secret.hosts, name, port) }));
  }

  async carry(flow: Flow, counts: FlowCounts): Promise<{ address?: string }> {
    const { stream, name, port } = flow;
    const { vm, log, policy, dial, roots = hostRoots } = this.#options;
    const upstream = new Upstream(name, () => dial(flow), roots);
    const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
    flow.signal.addEventListener("abort", () => stream.close(), { once: true });
    try {
      stream.respond({ ":status": 200 });
      const first = await firstByte(stream);
      const opened: OpenedFlow = {
        ...{ vm, name, port, upstream, policy, log },
        isTls: first === TLS_HANDSHAKE,
        secrets: () => this.#secretsFor(name, port),
      };
      if (first === TLS_HANDSHAKE) await this.#serveTls(flow, opened);
      else if (first !== undefined) http1.serve(guestSide(stream), opened);
      await closed;
    } finally {
      upstream.close();
      Object.assign(counts, { sentBytes: upstream.traffic.sent, receivedBytes: upstream.traffic.received });
    }
    return upstream.address === undefined ? {} : { address: upstream.address };
  }

  /** The host is asked first which protocol it speaks, and the guest offered that. */
  async #serveTls({ stream, name, port }: Flow, opened: OpenedFlow): Promise<void> {
    const { log, vm } = this.#options;
    const found = await opened.upstream.secure(["h2", "http/1.1"]).then(
      (socket) => ({ socket, failure: undefined }),
      (error: unknown) => ({ socket: undefined, failure: toFirebreakError(error).message }),
    );
    const note = (why: string) =>
      log.add({
        ...{ vm, protocol: "tcp", verdict: "failed", name, port, why, state: "closed", sentBytes: 0, receivedBytes: 0 },
      });
    if (found.failure !== undefined) note(found.failure);
    const speaksHttp2 = found.socket?.alpnProtocol === "h2";
    const secureContext = await this.#options.authority.contextFor(name);
    const guest = new TLSSocket(guestSide(stream), {
      isServer: true,
      secureContext,
      SNICallback: (asked, done) => {
        if (asked.toLowerCase() === name) return done(null, secureContext);
        note(`the client's TLS names ${JSON.stringify(asked.slice(0, 100))}, but the connection is one to ${name}`);
        done(new Error("another name"));
      },
      ALPNCallback: ({ protocols }) =>
        speaksHttp2 && protocols.includes("h2") ? "h2" : protocols.includes("http/1.1") ? "http/1.1" : undefined,
    });
    try {
      await handshakeOf(guest);
    } catch (error) {
      note(explain(error as NodeJS.ErrnoException));
      found.socket?.destroy();
      stream.close();
      return;
    }
    if (found.socket !== undefined && guest.alpnProtocol === "h2") return serveHttp2(guest, found.socket, opened);
    // One connection more is made, in the protocol that the client speaks.
    found.socket?.destroy();
    http1.serve(guest, opened, found.failure);
  }
}

/** Of what the guest sends, which stays to be read; undefined when it sends nothing and ends. */
function firstByte(stream: Flow["stream"]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const finish = (byte: number | undefined) => {
      clearTimeout(timer);
      stream.off("readable", onReadable).off("close", onEnd).off("end", onEnd);
      resolve(byte);
    };
    const onReadable = () => {
      const chunk = stream.read() as Buffer | null;
      if (chunk === null) return;
      stream.unshift(chunk);
      finish(chunk[0]);
    };
    const onEnd = () => finish(undefined);
    const timer = setTimeout(() => {
      stream.close();
      reject(
        new FirebreakError("CONNECTION_FAILED", "the client says nothing, and only TLS and HTTP can be looked into"),
      );
    }, FIRST_BYTE_DEADLINE_MS);
    stream.on("readable", onReadable).once("close", onEnd).once("end", onEnd);
  });
}

function handshakeOf(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error("the handshake does not end")), HANDSHAKE_DEADLINE_MS);
    const finish = (error?: Error) => {
      clearTimeout(timer);
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.once("secure", () => finish());
    socket.on("error", finish);
    socket.once("close", () => finish(new Error("the client closed the connection")));
  });
}

function explain(error: NodeJS.ErrnoException): string {
  const isUntrusted = /unknown ca|bad certificate|certificate unknown/i.test(error.message);
  return isUntrusted
    ? "the client in the VM does not trust the VM's own certificate: it pins another, brings its own, or was started before the certificate came"
    : `the client's TLS failed: ${error.code ?? error.message}`;
}

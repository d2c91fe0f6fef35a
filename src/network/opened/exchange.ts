import type { Readable, Writable } from "node:stream";
import type { EgressEvent } from "../../contract/egress.ts";
import type { EgressLog } from "../egress-log.ts";
import { type CompiledPolicy, decideRequest } from "../rules.ts";
import { AwsSigning, findSigning, type Resigned } from "./aws-signing.ts";
import type { Message } from "./aws-sigv4.ts";
import type { Refusal } from "./refusal.ts";
import {
  type FlowSecret,
  newSubstitution,
  Scrubber,
  type Substitution,
  substituteBody,
  substituteHeader,
  substitutePath,
} from "./substitute.ts";
import type { Upstream } from "./upstream.ts";

/** What all requests of one opened flow share. */
export interface OpenedFlow {
  vm: EgressEvent["vm"];
  name: string;
  port: number;
  isTls: boolean;
  upstream: Upstream;
  /** As they are now. */
  policy: () => CompiledPolicy;
  secrets: () => FlowSecret[];
  log: EgressLog;
}

/** One request, looked at before it goes on. */
export class Exchange {
  readonly #flow: OpenedFlow;
  readonly secrets: FlowSecret[];
  readonly substitution: Substitution = newSubstitution();
  #signing: AwsSigning | undefined;

  constructor(flow: OpenedFlow) {
    this.#flow = flow;
    this.secrets = flow.secrets();
  }

  /** Why the request must not go on; undefined when it may. A host in it that is not the flow's would get what is meant for that one. */
  refuse(method: string, path: string, host: string | undefined): Refusal | undefined {
    const { name, port } = this.#flow;
    const asked = host?.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
    if (asked !== undefined && asked !== name) {
      const why = `the request names ${JSON.stringify(asked.slice(0, 100))}, but the connection is one to ${name}`;
      return this.deny(421, why);
    }
    if (!path.startsWith("/") && path !== "*") return this.deny(400, "the request's target is no path");
    const verdict = decideRequest(this.#flow.policy(), { name, port, method, path });
    return verdict.isAllowed ? undefined : this.deny(403, verdict.why, verdict.rule);
  }

  /** Noted, and for the client to be told. */
  deny(status: number, why: string, rule?: string): Refusal {
    this.#note("denied", why, rule);
    return { status, why };
  }

  path(path: string): string {
    return substitutePath(path, this.secrets, this.substitution);
  }

  header(name: string, value: string): string {
    return substituteHeader(name, value, this.secrets, this.substitution);
  }

  /**
   * Looks at the signature of a request as it came, and at its body where that counts: for placeholders in it, or since its hash is signed. Without a
   * `body`, what comes goes through as it is. `length` is 0 where nobody has said it.
   */
  async take(
    message: Message,
    pieces: () => AsyncIterable<Buffer>,
    { type, length }: { type: string; length: number },
  ): Promise<{ refusal?: Refusal; body?: Buffer }> {
    const signing = findSigning(message, this.secrets);
    if (signing !== undefined && !(signing instanceof AwsSigning))
      return { refusal: this.deny(signing.status, signing.why) };
    const isSubstituted =
      this.#wantsBody && signing?.isFramed !== true && isText(type) && length > 0 && length <= MAX_BODY_BYTES;
    const isRead = isSubstituted || signing?.needsBody === true;
    const given = isRead ? await readWhole(pieces(), length) : undefined;
    if (given === "too large")
      return {
        refusal: this.deny(
          413,
          `not signed anew: the body's hash is signed, and one of more than ${MAX_BODY_BYTES} bytes is not held to find it out; have the client send X-Amz-Content-Sha256`,
        ),
      };
    const refusal = signing?.refuse(given);
    if (refusal !== undefined) return { refusal: this.deny(refusal.status, refusal.why) };
    this.#signing = signing;
    for (const name of signing?.uses ?? []) this.substitution.used.add(name);
    if (given === undefined) return {};
    return { body: isSubstituted ? substituteBody(given, type, this.secrets, this.substitution) : given };
  }

  get #wantsBody(): boolean {
    return this.secrets.some(({ secret, isForHost }) => isForHost && secret.places.includes("body"));
  }

  /** Signs a request as it goes on, where it came with a signature by a placeholder. */
  sign(message: Message, body: Buffer | undefined): Resigned {
    return this.#signing?.sign(message, body) ?? { target: message.target, set: [] };
  }

  /** A body as it goes on. `onRefusal` is called when it turns out not to be the one that was signed. */
  passBody(from: Readable, to: Writable, onRefusal: (refusal: Refusal) => void): void {
    const signer = this.#signing?.chunkSigner();
    if (signer === undefined) {
      from.pipe(to);
      return;
    }
    signer.once("error", (error) => onRefusal(this.deny(403, error.message)));
    from.pipe(signer).pipe(to);
  }

  /** Tells of placeholders that went where they mean nothing. */
  noteMisplaced(): void {
    for (const name of this.substitution.misplaced)
      this.#note(
        "allowed",
        `the placeholder of ${name} was sent to ${this.#flow.name} as it is: the secret is not for that host or place`,
      );
  }

  failed(why: string): void {
    this.#note("failed", why);
  }

  /** For the answer of a host that was sent values. */
  scrubber(): Scrubber {
    const used = this.secrets.filter(({ secret }) => this.substitution.used.has(secret.name));
    const signature = this.#signing?.signature;
    return new Scrubber([
      ...used.map(({ secret }) => secret.value()),
      // With it, whoever can reach the host could send the request once more.
      ...(signature === undefined ? [] : [signature]),
    ]);
  }

  #note(verdict: EgressEvent["verdict"], why: string, rule?: string): void {
    const { vm, name, port, log } = this.#flow;
    log.add({
      ...{ vm, protocol: "http", verdict, name, port, why, state: "closed", sentBytes: 0, receivedBytes: 0 },
      ...(rule === undefined ? {} : { rule }),
    });
  }
}

/** Bodies that may hold placeholders are read whole: larger ones go through as they are. */
export const MAX_BODY_BYTES = 1024 * 1024;

export function isText(contentType: string): boolean {
  return /^(?:text\/|application\/(?:[\w.+-]*json|x-www-form-urlencoded|[\w.+-]*xml|graphql))/i.test(contentType);
}

/** The whole of a body; undefined for an empty one. */
async function readWhole(pieces: AsyncIterable<Buffer>, length: number): Promise<Buffer | undefined | "too large"> {
  if (length > MAX_BODY_BYTES) return "too large";
  const all: Buffer[] = [];
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > MAX_BODY_BYTES) return "too large";
    all.push(piece);
  }
  return size === 0 ? undefined : Buffer.concat(all);
}

/** What is of one hop (RFC 9110 §7.6.1) and not of the message. */
export const HOP_HEADERS = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "upgrade",
  "transfer-encoding",
  "http2-settings",
]);

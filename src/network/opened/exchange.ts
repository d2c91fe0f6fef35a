import type { EgressEvent } from "../../contract/egress.ts";
import type { EgressLog } from "../egress-log.ts";
import { type CompiledPolicy, decideRequest } from "../rules.ts";
import {
  type FlowSecret,
  newSubstitution,
  Scrubber,
  type Substitution,
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

  constructor(flow: OpenedFlow) {
    this.#flow = flow;
    this.secrets = flow.secrets();
  }

  /** Why the request must not go on; undefined when it may. A host in it that is not the flow's would get what is meant for that one. */
  refuse(method: string, path: string, host: string | undefined): { status: number; why: string } | undefined {
    const { name, port } = this.#flow;
    const asked = host?.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
    if (asked !== undefined && asked !== name) {
      const why = `the request names ${JSON.stringify(asked.slice(0, 100))}, but the connection is one to ${name}`;
      return this.#deny(421, why);
    }
    if (!path.startsWith("/") && path !== "*") return this.#deny(400, "the request's target is no path");
    const verdict = decideRequest(this.#flow.policy(), { name, port, method, path });
    return verdict.isAllowed ? undefined : this.#deny(403, verdict.why, verdict.rule);
  }

  #deny(status: number, why: string, rule?: string): { status: number; why: string } {
    this.#note("denied", why, rule);
    return { status, why };
  }

  path(path: string): string {
    return substitutePath(path, this.secrets, this.substitution);
  }

  header(name: string, value: string): string {
    return substituteHeader(name, value, this.secrets, this.substitution);
  }

  get wantsBody(): boolean {
    return this.secrets.some(({ secret, isForHost }) => isForHost && secret.places.includes("body"));
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
    return new Scrubber(
      this.secrets.filter(({ secret }) => this.substitution.used.has(secret.name)).map(({ secret }) => secret.value()),
    );
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

import { FirebreakError } from "../errors/firebreak-error.ts";
import { classifyAddress, isRefused } from "./addresses.ts";
import { connect, type Dialled } from "./connect.ts";

const RESOLVE_DEADLINE_MS = 10_000;
/** A name with more addresses has enough of them that do not answer. */
const MAX_ADDRESSES = 8;

export interface DialRequest {
  name: string;
  port: number;
  /** The policy lists the name as one that may lead to a private network. */
  isPrivateAllowed: boolean;
  /** The policy's own addresses of names. */
  hosts: ReadonlyMap<string, string>;
}

export interface DialerOptions {
  env: NodeJS.ProcessEnv;
  /** Replaced in tests, where there is no name server to answer. */
  resolve?: (name: string) => Promise<string[]>;
}

// What only a connection needs is imported with the first one: most daemons never make any.
/** Connects to names on behalf of guests: resolves, checks what came of it, and dials the very address that it checked. */
export class Dialer {
  readonly #options: DialerOptions;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  /** Throws EGRESS_DENIED, NAME_NOT_RESOLVED, CONNECTION_REFUSED, CONNECTION_FAILED. */
  async dial(request: DialRequest, signal: AbortSignal): Promise<Dialled> {
    const { name, port, hosts } = request;
    const { openThroughProxy, proxyFor } = await import("./upstream-proxy.ts");
    const fixed = hosts.get(name);
    const proxy = fixed === undefined ? proxyFor(name, port, this.#options.env) : undefined;
    // A proxy resolves names itself: what it reaches is its administrator's matter.
    if (proxy !== undefined) return openThroughProxy(proxy, name, port, signal);
    const addresses = fixed === undefined ? await this.#resolve(name, signal) : [fixed];
    requireReachable(name, addresses, request.isPrivateAllowed);
    let failure: unknown;
    for (const address of addresses) {
      try {
        return { socket: await connect(address, port, name, signal), address };
      } catch (error) {
        if (signal.aborted) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  async #resolve(name: string, signal: AbortSignal): Promise<string[]> {
    const resolve = this.#options.resolve ?? lookup;
    const deadline = Promise.withResolvers<never>();
    const timer = setTimeout(() => deadline.reject(notResolved(name, "no name server answered")), RESOLVE_DEADLINE_MS);
    const onAbort = () => deadline.reject(new FirebreakError("OPERATION_CANCELED", "the connection was given up"));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const addresses = await Promise.race([resolve(name), deadline.promise]);
      if (addresses.length === 0) throw notResolved(name, "it has no address");
      return addresses.slice(0, MAX_ADDRESSES);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }
}

/** All must be in order: one that is not says that whoever answers for the name plays with it. */
function requireReachable(name: string, addresses: readonly string[], isPrivateAllowed: boolean): void {
  for (const address of addresses) {
    const kind = classifyAddress(address);
    if (!isRefused(kind, isPrivateAllowed)) continue;
    const what = kind.replaceAll("_", " ");
    throw new FirebreakError("EGRESS_DENIED", `${name} leads to ${address}, which is a ${what} address`, {
      ...(isRefused(kind, true)
        ? {}
        : { hint: `If that is what you want, say so in the rule: {"host": "${name}", "private": true}` }),
      details: { address },
    });
  }
}

async function lookup(name: string): Promise<string[]> {
  try {
    const dns = await import("node:dns/promises");
    const found = await dns.lookup(name, { all: true, order: "ipv4first" });
    return found.map(({ address }) => address);
  } catch (error) {
    throw notResolved(name, (error as NodeJS.ErrnoException).code ?? "the lookup failed");
  }
}

function notResolved(name: string, why: string): FirebreakError {
  return new FirebreakError("NAME_NOT_RESOLVED", `${name} cannot be resolved: ${why}`);
}

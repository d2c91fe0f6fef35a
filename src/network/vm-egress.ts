import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type EgressEvent, guestRefusalsSchema } from "../contract/egress.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { relay } from "../platform/relay.ts";
import type { Dialled } from "./connect.ts";
import { type Decoy, type DecoyAnswer, Decoys, servePage } from "./decoys.ts";
import type { Dialer } from "./dial.ts";
import type { EgressEntry, EgressLog } from "./egress-log.ts";
import { parseName } from "./names.ts";
import { type CompiledPolicy, decideConnection, decideName, type Verdict } from "./rules.ts";

/** A connection of which one side has gone without a word, or does not read, is broken off after this, ms. */
const STALL_MS = 10 * 60_000;
/** What a guest may say about what it has refused, bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/** A connection that a guest has asked for and the policy allows. */
export interface Flow {
  name: string;
  port: number;
  stream: ServerHttp2Stream;
  verdict: Verdict;
  signal: AbortSignal;
  /** Of a probe: where the name leads, whatever name servers say. */
  hosts?: ReadonlyMap<string, string>;
}

/** Takes over flows that are not to be carried as they are (an opened TLS connection); resolves when they are over. */
export interface FlowOpener {
  isOpened(flow: Pick<Flow, "name" | "port" | "verdict">): boolean;
  carry(flow: Flow, counts: FlowCounts): Promise<{ address?: string }>;
}

export interface FlowCounts {
  sentBytes: number;
  receivedBytes: number;
}

export interface VmEgressOptions {
  vm: EgressEvent["vm"];
  policy: CompiledPolicy;
  dialer: Dialer;
  log: EgressLog;
  /** Asked for with the first connection. */
  opener?: (egress: VmEgress) => Promise<FlowOpener>;
  /** The VM is used. */
  onUse: () => void;
}

/** One VM's ways out: what its guest asks for is decided, carried out and noted here. A guest's bytes are hostile. */
export class VmEgress {
  readonly #options: VmEgressOptions;
  readonly #flows = new Map<ServerHttp2Stream, { name: string; port: number; cut: (why: string) => void }>();
  readonly #decoys = new Decoys();
  #opener: Promise<FlowOpener> | undefined;
  #policy: CompiledPolicy;

  constructor(options: VmEgressOptions) {
    this.#options = options;
    this.#policy = options.policy;
  }

  get policy(): CompiledPolicy {
    return this.#policy;
  }

  get flowCount(): number {
    return this.#flows.size;
  }

  /** From now on; what is open and not allowed any more is cut, the rest goes on. */
  setPolicy(policy: CompiledPolicy): void {
    this.#policy = policy;
    for (const { name, port, cut } of this.#flows.values())
      if (!this.#decide(name, port).isAllowed) cut("the policy does not allow it any more");
  }

  /** Names of a probe are there until the function is called that this returns, which cuts what is open to them. */
  layDecoys(decoys: readonly Decoy[]): () => void {
    this.#decoys.lay(decoys);
    return () => {
      this.#decoys.remove(decoys);
      for (const { name, cut } of this.#flows.values())
        if (decoys.some((decoy) => decoy.name === name)) cut("the probe is over");
    };
  }

  #decide(name: string, port: number): Verdict {
    const decoy = this.#policy.mode === "none" ? undefined : this.#decoys.decide(name, port);
    return decoy ?? decideConnection(this.#policy, name, port);
  }

  /** A request of the guest. Never throws. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", () => {});
    this.#route(stream, headers).catch((error: unknown) => refuse(stream, toFirebreakError(error)));
  }

  async #route(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const { ":method": method, ":path": path = "" } = headers;
    if (method === "CONNECT") return this.#connect(stream, String(headers[":authority"] ?? ""));
    if (method === "GET" && path.startsWith("/v1/names/")) return this.#answerName(stream, path.slice(10));
    if (method === "POST" && path === "/v1/refusals") return this.#noteRefusals(stream);
    throw new FirebreakError("ROUTE_NOT_FOUND", "there is no such request");
  }

  #answerName(stream: ServerHttp2Stream, encoded: string): void {
    const text = decodePart(encoded);
    const parsed = parseName(text);
    const verdict = "name" in parsed ? decideName(this.#policy, parsed.name) : undefined;
    const isDecoy = this.#policy.mode !== "none" && "name" in parsed && this.#decoys.hasName(parsed.name);
    if (verdict?.isAllowed || isDecoy) {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end("{}");
      return;
    }
    const why = verdict?.why ?? ("why" in parsed ? parsed.why : "");
    this.#note({ protocol: "dns", verdict: "denied", name: shorten(text), why, ...ruleOf(verdict) });
    throw new FirebreakError("EGRESS_DENIED", why);
  }

  async #connect(stream: ServerHttp2Stream, authority: string): Promise<void> {
    const [, text = "", digits = ""] = /^([^:[\]@/]{1,255}):(\d{1,5})$/.exec(authority) ?? [];
    const port = Number(digits);
    const parsed = parseName(text);
    if (!("name" in parsed) || port < 1 || port > 65_535) {
      const why = "why" in parsed ? parsed.why : "no such port";
      this.#note({ protocol: "tcp", verdict: "denied", name: shorten(authority), why });
      throw new FirebreakError("EGRESS_DENIED", why);
    }
    const { name } = parsed;
    const verdict = this.#decide(name, port);
    const about = { protocol: "tcp", name, port, ...ruleOf(verdict) } as const;
    if (!verdict.isAllowed) {
      this.#note({ ...about, verdict: "denied", why: verdict.why });
      throw new FirebreakError("EGRESS_DENIED", verdict.why);
    }
    this.#options.onUse();
    const decoy = this.#decoys.next(name);
    const hosts = decoy !== undefined && "address" in decoy ? { hosts: new Map([[name, decoy.address]]) } : {};
    await this.#carry({ name, port, stream, verdict, ...hosts }, about, decoy);
  }

  async #carry(
    flow: Omit<Flow, "signal">,
    about: { protocol: "tcp"; name: string; port: number; rule?: string },
    decoy?: DecoyAnswer,
  ): Promise<void> {
    const { stream, name, port } = flow;
    const aborter = new AbortController();
    let cutWhy: string | undefined;
    const cut = (why: string) => {
      cutWhy = why;
      aborter.abort();
    };
    this.#flows.set(stream, { name, port, cut });
    const onClose = () => aborter.abort();
    stream.once("close", onClose);
    const counts: FlowCounts = { sentBytes: 0, receivedBytes: 0 };
    const startedMs = performance.now();
    let event: EgressEvent | undefined;
    try {
      if (decoy !== undefined && "page" in decoy) return await servePage(stream, decoy.page, aborter.signal);
      this.#opener ??= this.#options.opener?.(this);
      const opener = await this.#opener;
      if (opener?.isOpened(flow)) {
        event = this.#note({ ...about, verdict: "allowed", state: "open" });
        const { address } = await opener.carry({ ...flow, signal: aborter.signal }, counts);
        if (event !== undefined && address !== undefined) event.address = address;
      } else {
        const { socket, address } = await this.dial({ ...flow, signal: aborter.signal });
        event = this.#note({ ...about, verdict: "allowed", address, state: "open" });
        stream.off("close", onClose);
        if (stream.destroyed) socket.destroy();
        else {
          stream.respond({ ":status": 200 });
          await relay(socket, stream, {
            onBytes: (direction, bytes) => {
              if (direction === "toGuest") counts.receivedBytes += bytes;
              else counts.sentBytes += bytes;
            },
            stallMs: STALL_MS,
            signal: aborter.signal,
          });
        }
      }
    } finally {
      this.#flows.delete(stream);
      stream.off("close", onClose);
      const durationMs = Math.round(performance.now() - startedMs);
      if (event !== undefined)
        this.#options.log.end(event, { ...counts, durationMs, ...(cutWhy === undefined ? {} : { why: cutWhy }) });
    }
  }

  /** Connects to where a flow goes. What keeps it from that is noted, and thrown. */
  async dial({ name, port, verdict, signal, hosts = this.#policy.hosts }: Omit<Flow, "stream">): Promise<Dialled> {
    const { isPrivateAllowed } = verdict;
    const about = { protocol: "tcp", name, port, ...ruleOf(verdict) } as const;
    try {
      return await this.#options.dialer.dial({ name, port, isPrivateAllowed, hosts }, signal);
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      const address = error.details?.address;
      this.#note({
        ...about,
        verdict: error.code === "EGRESS_DENIED" ? "denied" : "failed",
        why: error.message,
        ...(typeof address === "string" ? { address } : {}),
      });
      throw error;
    }
  }

  async #noteRefusals(stream: ServerHttp2Stream): Promise<void> {
    const pieces: Buffer[] = [];
    let size = 0;
    // The answer has yet to go out when this is too much.
    for await (const piece of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > MAX_BODY_BYTES) throw new FirebreakError("REQUEST_TOO_LARGE", "the refusals are too long");
      pieces.push(piece);
    }
    for (const refusal of parseRefusals(Buffer.concat(pieces))) {
      const { protocol, address, port, count } = refusal;
      const why = "addresses without a name lead nowhere";
      const entry = { protocol, verdict: "denied", address, why, ...(port == null ? {} : { port }) } as const;
      this.#note(entry, count);
    }
    stream.respond({ ":status": 204 }, { endStream: true });
  }

  #note(entry: Omit<EgressEntry, "vm" | "state" | "sentBytes" | "receivedBytes"> & { state?: "open" }, count = 1) {
    const { vm, log } = this.#options;
    return log.add({ state: "closed", sentBytes: 0, receivedBytes: 0, ...entry, vm }, count);
  }
}

function parseRefusals(body: Buffer) {
  try {
    return guestRefusalsSchema.parse(JSON.parse(body.toString("utf8"))).refusals;
  } catch (error) {
    throw new FirebreakError("INVALID_ARGUMENT", "the refusals are malformed", { cause: error });
  }
}

function ruleOf(verdict: Verdict | undefined): { rule?: string } {
  return verdict?.rule === undefined ? {} : { rule: verdict.rule };
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A guest chooses it; what is kept of it is for people. */
function shorten(text: string): string {
  const printable = text.replaceAll(/[^\x20-\x7e]/g, "?");
  return printable.length > 300 ? `${printable.slice(0, 300)}…` : printable;
}

const STATUSES: Partial<Record<FirebreakError["code"], number>> = {
  EGRESS_DENIED: 403,
  ROUTE_NOT_FOUND: 404,
  INVALID_ARGUMENT: 400,
  REQUEST_TOO_LARGE: 413,
  INTERNAL: 500,
};

function refuse(stream: ServerHttp2Stream, error: FirebreakError): void {
  if (stream.destroyed || stream.headersSent) {
    stream.destroy();
    return;
  }
  stream.respond({ ":status": STATUSES[error.code] ?? 502, "content-type": "application/json" });
  stream.end(JSON.stringify({ error: { code: error.code, message: error.message } }));
}

import { FirebreakError } from "../../errors/firebreak-error.ts";
import { DEFAULT_LEVEL, isMoreVerbose, type LogLevel } from "../../mcp/log-levels.ts";
import { RPC_CODE, RpcError } from "../rpc/messages.ts";
import type { Peer, RequestOptions } from "../rpc/peer.ts";

/** What `firebreak` says that it can do as the client of a server. Roots are not offered: they would take the place of the paths that the configuration allows. */
const CLIENT_CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {} } as const;

export const MODERN_VERSION = "2026-07-28";
/** What is asked for of a server of the older revisions; it may answer with an older one of them. */
export const LEGACY_VERSION = "2025-11-25";
const LEGACY_VERSIONS = [LEGACY_VERSION, "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"];

const META = "io.modelcontextprotocol/";
/** A server under emulation takes seconds to load. */
const HANDSHAKE_TIMEOUT_MS = 120_000;
/** One of the older revisions may not answer at all what it does not know; one of the newer, on a busy host, takes half a minute to load. */
const DISCOVER_TIMEOUT_MS = 60_000;
const SET_LEVEL_TIMEOUT_MS = 30_000;

/** What a server and its client have agreed on; kept with the saved machine that the server goes on in. */
export interface UpstreamTerms {
  era: "modern" | "legacy";
  protocolVersion: string;
  capabilities: Record<string, unknown>;
  serverInfo: { name: string; version: string; title?: string };
  instructions?: string;
}

export interface ClientInfo {
  name: string;
  version: string;
}

/** How a server was asked to begin: a server over stdio takes the first message for its era. */
export type Opening = "discover" | "initialize";

/**
 * Makes a server's acquaintance. Throws SERVER_PROTOCOL_ERROR when it does not speak MCP, and UNSUPPORTED_ERA when it is to be started again and asked the
 * other way.
 */
export async function openSession(
  peer: Peer,
  opening: Opening,
  client: ClientInfo,
  server: string,
): Promise<UpstreamTerms> {
  return opening === "discover" ? discover(peer, client, server) : initialize(peer, client, server);
}

async function discover(peer: Peer, client: ClientInfo, server: string): Promise<UpstreamTerms> {
  const result = await peer.request("server/discover", { _meta: metaOf(client) }, { timeoutMs: DISCOVER_TIMEOUT_MS });
  const { supportedVersions, capabilities, instructions, _meta } = result;
  if (!Array.isArray(supportedVersions) || !supportedVersions.includes(MODERN_VERSION))
    throw protocolError(
      server,
      `it speaks none of the revisions known here (${JSON.stringify(supportedVersions)?.slice(0, 200)})`,
    );
  return {
    era: "modern",
    protocolVersion: MODERN_VERSION,
    capabilities: objectOf(capabilities),
    serverInfo: infoOf(objectOf(_meta)[`${META}serverInfo`], server),
    ...(typeof instructions === "string" ? { instructions: instructions.slice(0, 16_384) } : {}),
  };
}

async function initialize(peer: Peer, client: ClientInfo, server: string): Promise<UpstreamTerms> {
  const params = { protocolVersion: LEGACY_VERSION, capabilities: CLIENT_CAPABILITIES, clientInfo: client };
  const result = await peer.request("initialize", params, { timeoutMs: HANDSHAKE_TIMEOUT_MS });
  const { protocolVersion, capabilities, serverInfo, instructions } = result;
  if (typeof protocolVersion !== "string" || !LEGACY_VERSIONS.includes(protocolVersion))
    throw protocolError(
      server,
      `it answers with the revision ${JSON.stringify(protocolVersion)?.slice(0, 100)}, which is not known here`,
    );
  peer.notify("notifications/initialized");
  return {
    era: "legacy",
    protocolVersion,
    capabilities: objectOf(capabilities),
    serverInfo: infoOf(serverInfo, server),
    ...(typeof instructions === "string" ? { instructions: instructions.slice(0, 16_384) } : {}),
  };
}

export interface UpstreamCall extends RequestOptions {
  /** Of the caller, for a server that is asked request by request what it may count on. */
  capabilities?: Record<string, unknown> | undefined;
  /** Of the log, what the caller wants to hear. */
  logLevel?: LogLevel | undefined;
}

/** Requests to a server whose acquaintance has been made, in its own era's terms. */
export class UpstreamSession {
  readonly terms: UpstreamTerms;
  readonly #peer: Peer;
  readonly #client: ClientInfo;
  /** What a server of the older revisions tells all of its clients. */
  #logLevel: LogLevel = DEFAULT_LEVEL;

  constructor(peer: Peer, terms: UpstreamTerms, client: ClientInfo) {
    this.#peer = peer;
    this.terms = terms;
    this.#client = client;
  }

  get isClosed(): boolean {
    return this.#peer.isClosed;
  }

  /** Resolves when the server has ended, or has been let go of. */
  get ended(): Promise<void> {
    return this.#peer.ended;
  }

  has(capability: string): boolean {
    return this.terms.capabilities[capability] !== undefined;
  }

  request(method: string, params: Record<string, unknown>, call: UpstreamCall = {}): Promise<Record<string, unknown>> {
    const { capabilities, logLevel, ...options } = call;
    if (logLevel !== undefined) this.#raise(logLevel);
    if (this.terms.era === "legacy") return this.#peer.request(method, params, options);
    return this.#peer.request(method, { ...params, _meta: metaOf(this.#client, capabilities, logLevel) }, options);
  }

  /** A server that is asked for a level by one client tells all of it: each hears of that what it wants itself. */
  #raise(level: LogLevel): void {
    if (this.terms.era === "modern" || !this.has("logging") || !isMoreVerbose(level, this.#logLevel)) return;
    this.#logLevel = level;
    // Nobody waits for it: it is read before the request that comes after it.
    this.#peer.request("logging/setLevel", { level }, { timeoutMs: SET_LEVEL_TIMEOUT_MS }).catch(() => {});
  }

  notify(method: string, params: Record<string, unknown> = {}): void {
    this.#peer.notify(method, params);
  }

  close(): void {
    this.#peer.close();
  }
}

/** Whether a server's answer to `server/discover` says that it is of the older revisions, or that it did not understand. */
export function isOfOtherEra(thrown: unknown): boolean {
  if (thrown instanceof RpcError) return true;
  // Some end at a first message that is not `initialize`; others never answer it.
  return thrown instanceof FirebreakError && (thrown.code === "SERVER_FAILED" || thrown.code === "DEADLINE_EXCEEDED");
}

function metaOf(
  client: ClientInfo,
  capabilities: Record<string, unknown> = CLIENT_CAPABILITIES,
  logLevel?: LogLevel,
): Record<string, unknown> {
  return {
    [`${META}protocolVersion`]: MODERN_VERSION,
    [`${META}clientCapabilities`]: capabilities,
    [`${META}clientInfo`]: client,
    ...(logLevel === undefined ? {} : { [`${META}logLevel`]: logLevel }),
  };
}

function protocolError(server: string, why: string): FirebreakError {
  return new FirebreakError("SERVER_PROTOCOL_ERROR", `the server '${server}' does not speak MCP as it should: ${why}`, {
    details: { server },
  });
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function infoOf(value: unknown, server: string): UpstreamTerms["serverInfo"] {
  const { name, version, title } = objectOf(value);
  const text = (field: unknown, otherwise: string) => (typeof field === "string" ? field.slice(0, 256) : otherwise);
  return {
    name: text(name, server),
    version: text(version, "?"),
    ...(typeof title === "string" ? { title: title.slice(0, 256) } : {}),
  };
}

/** Throws RpcError on a request of a server's that no client is asked. */
export function requireQuestion(method: string): void {
  if (method !== "elicitation/create" && method !== "sampling/createMessage") throw methodNotFound(method);
}

/** A method that a server does not have. */
export const methodNotFound = (method: string) =>
  new RpcError({ code: RPC_CODE.methodNotFound, message: `${method} is not offered` });

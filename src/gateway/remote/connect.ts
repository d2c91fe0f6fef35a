import { setTimeout as sleep } from "node:timers/promises";
import type { RemoteServer } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { expandSecrets } from "../config/references.ts";
import type { ServerLogin } from "../oauth/server-login.ts";
import { RPC_CODE, RpcError } from "../rpc/messages.ts";
import { type Peer, RpcPeer, type RpcPeerOptions } from "../rpc/peer.ts";
import type { RemoteState } from "../server-store.ts";
import { type ClientInfo, type Opening, openSession, requireQuestion, UpstreamSession } from "../upstream/session.ts";
import { TracedPeer } from "../upstream/traced-peer.ts";
import type { Dial } from "./dial.ts";
import { HttpConnections } from "./exchange.ts";
import { failed, statusOf } from "./fault.ts";
import { HttpPeer } from "./http-peer.ts";
import { openSsePipe } from "./sse-pipe.ts";
import { resolveTarget, type SecretFor, type Target } from "./target.ts";

const [RETRY_MS, MAX_RETRY_MS] = [1_000, 60_000];
/** What a server has to tell of changes of, and how it is asked to in the newer revision. */
const LISTENED = { tools: "toolsListChanged", prompts: "promptsListChanged", resources: "resourcesListChanged" };

export interface ConnectOptions extends Omit<RpcPeerOptions, "server"> {
  config: RemoteServer;
  client: ClientInfo;
  secretFor: SecretFor;
  dial: Dial;
  /** Undefined where its headers say how its calls are authorized. */
  login: ServerLogin | undefined;
  /** How it was last spoken to, which is tried first. */
  known: Pick<RemoteState, "transport" | "opening"> | undefined;
  schemaOf: (tool: string) => unknown;
  /** What the server has said in the meantime may have been missed. */
  onGap: () => void;
}

export interface RemoteLink {
  session: UpstreamSession;
  transport: RemoteState["transport"];
  opening: Opening;
}

/** Reaches a server in the way that it speaks: the newer revision, the older ones, or the transport of 2024. Throws SERVER_…, SECRET_… */
export async function connect(options: ConnectOptions): Promise<RemoteLink> {
  const { config, known } = options;
  const transports: RemoteState["transport"][] =
    config.transport !== undefined
      ? [config.transport]
      : known?.transport === "sse"
        ? ["sse", "http"]
        : ["http", "sse"];
  let first: unknown;
  for (const transport of transports) {
    try {
      return await (transport === "http" ? connectHttp(options) : connectSse(options));
    } catch (thrown) {
      first ??= thrown;
      if (!isOfOtherKind(thrown)) throw first;
    }
  }
  throw first instanceof RpcError
    ? failed(config.name, `does not let itself be spoken to: ${first.message.slice(0, 300)}`)
    : first;
}

async function connectHttp(options: ConnectOptions): Promise<RemoteLink> {
  const { config, client, known, schemaOf, onGap } = options;
  const peer = new HttpPeer({
    ...peerOptionsOf(options),
    target: () => targetOf(options),
    connections: connectionsOf(options),
    schemaOf,
    onRenewed: onGap,
  });
  const traced = trace(peer, config);
  const openings: Opening[] = known?.opening === "initialize" ? ["initialize", "discover"] : ["discover", "initialize"];
  let last: unknown;
  try {
    for (const opening of openings) {
      try {
        const terms = await openSession(traced, opening, client, config.name);
        const session = new UpstreamSession(traced, terms, client);
        if (terms.era === "legacy") peer.listen();
        else void listenModern(session, onGap);
        return { session, transport: "http", opening };
      } catch (thrown) {
        last = thrown;
        if (!isOfOtherKind(thrown)) throw thrown;
      }
    }
    throw last;
  } catch (thrown) {
    peer.close();
    throw thrown;
  }
}

async function connectSse(options: ConnectOptions): Promise<RemoteLink> {
  const { config, client } = options;
  const peer = new RpcPeer(peerOptionsOf(options));
  const pipe = await openSsePipe({
    server: config.name,
    target: () => targetOf(options),
    connections: connectionsOf(options),
    events: peer.events,
  });
  peer.attach(pipe);
  const traced = trace(peer, config);
  try {
    const terms = await openSession(traced, "initialize", client, config.name);
    return { session: new UpstreamSession(traced, terms, client), transport: "sse", opening: "initialize" };
  } catch (thrown) {
    peer.close();
    throw thrown;
  }
}

function trace(peer: Peer, config: RemoteServer): TracedPeer {
  // As it is written: secrets stand in no host.
  const { hostname, port, protocol } = new URL(expandSecrets(config.url, () => "x"));
  return new TracedPeer(peer, {
    attributes: {
      "network.transport": "tcp",
      "network.protocol.name": "http",
      "server.address": hostname,
      "server.port": Number(port) || (protocol === "https:" ? 443 : 80),
      "firebreak.server.name": config.name,
    },
  });
}

function peerOptionsOf({ config, onNotification, onRequest, onNoise, onClosed }: ConnectOptions): RpcPeerOptions {
  return {
    server: config.name,
    onNotification,
    onRequest: async (method, params, signal) => {
      requireQuestion(method);
      return onRequest(method, params, signal);
    },
    onNoise,
    onClosed,
  };
}

function connectionsOf({ config, dial, login }: ConnectOptions): HttpConnections {
  return new HttpConnections({ server: config.name, dial, login });
}

function targetOf({ config, secretFor }: ConnectOptions): Target {
  try {
    return resolveTarget(config, secretFor);
  } catch (thrown) {
    if (thrown instanceof FirebreakError) throw thrown;
    throw failed(config.name, "has a url that is none once its secrets are filled in");
  }
}

/** Whether a server may still be one that is spoken to in another way. What it says of who asks, or of itself being down, is no such sign. */
function isOfOtherKind(thrown: unknown): boolean {
  const status = statusOf(thrown);
  if (status !== undefined) return status >= 400 && status < 500 && ![401, 403, 407, 429].includes(status);
  return thrown instanceof RpcError;
}

/** A server of the newer revision tells of changes on a stream that is asked for, and asked for again when it ends. */
async function listenModern(session: UpstreamSession, onGap: () => void): Promise<void> {
  const told = Object.entries(LISTENED).filter(
    ([kind]) => (session.terms.capabilities[kind] as { listChanged?: unknown } | undefined)?.listChanged === true,
  );
  if (told.length === 0) return;
  const notifications = Object.fromEntries(told.map(([, flag]) => [flag, true]));
  let delayMs = RETRY_MS;
  while (!session.isClosed) {
    const begunMs = Date.now();
    try {
      await session.request("subscriptions/listen", { notifications });
    } catch (thrown) {
      if (thrown instanceof RpcError && thrown.code !== RPC_CODE.internal) return;
    }
    delayMs = Date.now() - begunMs > MAX_RETRY_MS ? RETRY_MS : Math.min(delayMs * 2, MAX_RETRY_MS);
    await sleep(delayMs, undefined, { ref: false });
    if (!session.isClosed) onGap();
  }
}

import { randomBytes } from "node:crypto";
import type { VmServer } from "../contract/server.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { WorkOptions } from "../vms/ports.ts";
import type { Launch, Machines } from "./machine.ts";
import { RpcPeer } from "./rpc/peer.ts";
import { attachServer, type GuestPipe, startServer } from "./upstream/guest-pipe.ts";
import {
  type ClientInfo,
  isOfOtherEra,
  type Opening,
  openSession,
  requireQuestion,
  UpstreamSession,
  type UpstreamTerms,
} from "./upstream/session.ts";
import { TracedPeer } from "./upstream/traced-peer.ts";

/** What a server asks for or tells while calls are under way, and outside of them. */
export interface InstanceHooks {
  onRequest: (method: string, params: Record<string, unknown>, signal: AbortSignal) => Promise<Record<string, unknown>>;
  onNotification: (method: string, params: Record<string, unknown>) => void;
  /** Its standard error, and what it prints beside the protocol. */
  onLog: (text: string) => void;
  /** It has ended, or its VM is lost. */
  onClosed: (error: FirebreakError) => void;
}

export interface InstanceDeps {
  machines: Machines;
  client: ClientInfo;
  hooks: InstanceHooks;
}

/** A server that runs in a VM and is spoken to. Closing it lets go of both. */
export interface Instance {
  readonly vm: string;
  readonly session: UpstreamSession;
  readonly execId: string;
  /** How the server was asked to begin. */
  readonly opening: Opening;
  /** Bytes of its output that have been read. */
  readonly offset: number;
}

/** Starts a server in a VM and makes its acquaintance, the way it wants to be asked. Throws SERVER_FAILED, SERVER_PROTOCOL_ERROR. */
export async function startInstance(
  vm: string,
  launch: Launch,
  config: VmServer,
  { machines, client, hooks }: InstanceDeps,
  options: WorkOptions & { opening?: Opening },
): Promise<Instance> {
  const guest = await machines.client(vm, options);
  const begin = async (opening: Opening): Promise<Instance> => {
    const execId = `mcp-${randomBytes(6).toString("hex")}`;
    // What a first attempt says while it is given up is not the server's end.
    const own = { isSettled: false, error: undefined as FirebreakError | undefined };
    const peer = createPeer(config.name, {
      ...hooks,
      onClosed: (error) => {
        own.error = error;
        if (own.isSettled) hooks.onClosed(error);
      },
    });
    const pipe = await startServer(
      { id: execId, ...launch },
      pipeOptions(config.name, guest, peer, hooks, () => machines.vms.explainLoss(vm)),
    );
    peer.attach(pipe);
    const traced = trace(peer, config.name, vm);
    try {
      const terms = await openSession(traced, opening, client, config.name);
      own.isSettled = true;
      if (own.error !== undefined) throw own.error;
      return toInstance(vm, pipe, new UpstreamSession(traced, terms, client), opening);
    } catch (error) {
      // What has ended it says more than what came of that; letting go of it is an end, too.
      const cause = own.error ?? error;
      peer.close();
      await guest.execKill(execId, 0).catch(() => {});
      throw cause;
    }
  };
  if (options.opening !== undefined) return begin(options.opening);
  try {
    return await begin("discover");
  } catch (error) {
    if (!isOfOtherEra(error)) throw error;
    return begin("initialize");
  }
}

/** Goes on with a server that runs in a VM since it was saved there, or since another daemon's time. Throws SERVER_FAILED when it does not. */
export async function attachInstance(
  vm: string,
  state: { execId: string; offset?: number; opening: Opening; terms: UpstreamTerms },
  config: VmServer,
  { machines, client, hooks }: InstanceDeps,
  options: WorkOptions,
): Promise<Instance> {
  const guest = await machines.client(vm, options);
  const peer = createPeer(config.name, hooks, true);
  const from = state.offset ?? (await endOfOutput(state.execId, guest, config.name));
  const pipe = await attachServer(
    state.execId,
    from,
    pipeOptions(config.name, guest, peer, hooks, () => machines.vms.explainLoss(vm)),
  );
  peer.attach(pipe);
  const traced = trace(peer, config.name, vm, state.terms.protocolVersion);
  return toInstance(vm, pipe, new UpstreamSession(traced, state.terms, client), state.opening);
}

/** A line that another daemon has read in part is no message to us; what it has not read may be one. */
const OVERLAP_BYTES = 64 * 1024;

async function endOfOutput(
  execId: string,
  guest: Parameters<typeof startServer>[1]["client"],
  server: string,
): Promise<number> {
  const info = await guest.execGet(execId);
  if (info.state !== "running") throw new FirebreakError("SERVER_FAILED", `the server '${server}' has ended`);
  return Math.max(info.spooledFrom, info.outputBytes - OVERLAP_BYTES);
}

function toInstance(vm: string, pipe: GuestPipe, session: UpstreamSession, opening: Opening): Instance {
  return {
    vm,
    session,
    execId: pipe.id,
    opening,
    get offset() {
      return pipe.offset;
    },
  };
}

function trace(peer: RpcPeer, server: string, vm: string, revision?: string): TracedPeer {
  const attributes = { "network.transport": "pipe", "firebreak.server.name": server, "firebreak.vm.id": vm };
  return new TracedPeer(peer, { attributes, revision });
}

function createPeer(server: string, hooks: InstanceHooks, isResumed = false): RpcPeer {
  return new RpcPeer({
    server,
    isResumed,
    onNotification: hooks.onNotification,
    onRequest: async (method, params, signal) => {
      requireQuestion(method);
      return hooks.onRequest(method, params, signal);
    },
    onNoise: (what) => hooks.onLog(`[not MCP] ${what}\n`),
    onClosed: hooks.onClosed,
  });
}

function pipeOptions(
  server: string,
  client: Parameters<typeof startServer>[1]["client"],
  peer: RpcPeer,
  hooks: InstanceHooks,
  explainLoss: () => Promise<FirebreakError>,
): Parameters<typeof startServer>[1] {
  return { server, client, events: peer.events, onStderr: (bytes) => hooks.onLog(bytes.toString("utf8")), explainLoss };
}

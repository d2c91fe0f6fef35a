import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";

export interface DialTarget {
  /** Of a URL: a name, or an address without brackets. */
  name: string;
  port: number;
  /** It may lead into private networks and to this host: its owner has named it. */
  isPrivateAllowed: boolean;
}

/** An open connection, by way of this host's proxy where it has one. Throws EGRESS_DENIED, NAME_NOT_RESOLVED, CONNECTION_… */
export type Dial = (target: DialTarget, signal: AbortSignal) => Promise<Socket>;

export function dialTargetOf(url: URL, isPrivateAllowed: boolean): DialTarget {
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { name: url.hostname.replace(/^\[(.*)\]$/, "$1"), port, isPrivateAllowed };
}

type Callback = (error: Error | null, stream?: Duplex) => void;

/** An agent whose connections are dialled so; they are all to places that `url` is of. */
export function agentFor(url: URL, dial: Dial, isPrivateAllowed: boolean, options: http.AgentOptions): http.Agent {
  const ending = new AbortController();
  const isTls = url.protocol === "https:";
  const agent = isTls ? new https.Agent(options) : new http.Agent(options);
  const open = async (wanted: tls.ConnectionOptions): Promise<Duplex> => {
    const name = String(wanted.host);
    const socket = await dial({ name, port: Number(wanted.port), isPrivateAllowed }, ending.signal);
    // A server that ends its half of an idle connection is done with it.
    socket.allowHalfOpen = false;
    return isTls ? secure(socket, wanted, name) : socket;
  };
  agent.createConnection = ((wanted: tls.ConnectionOptions, done: Callback) => {
    open(wanted).then(
      (stream) => done(null, stream),
      (error: Error) => done(error),
    );
    // The stream comes by the callback.
    return undefined;
  }) as never;
  const destroy = agent.destroy.bind(agent);
  agent.destroy = () => {
    ending.abort();
    destroy();
  };
  return agent;
}

function secure(socket: Socket, wanted: tls.ConnectionOptions, name: string): Promise<Duplex> {
  const { servername, rejectUnauthorized } = wanted;
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      host: name,
      ALPNProtocols: ["http/1.1"],
      ...(servername === undefined ? {} : { servername }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    });
    const onError = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    secured.once("error", onError);
    secured.once("secureConnect", () => {
      secured.off("error", onError);
      resolve(secured);
    });
  });
}

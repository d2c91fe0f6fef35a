import http, { type Agent, type ClientRequest } from "node:http";
import { API_VERSION } from "../contract/api-version.ts";
import { encodeOnBehalf, type KeyHolder, ON_BEHALF_HEADER } from "../contract/on-behalf.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { type Endpoint, type RequestHead, SAME_IN_ALL_VERSIONS } from "./endpoint.ts";

/** This host's daemon, on its UNIX socket. */
export class SocketEndpoint implements Endpoint {
  readonly #socketPath: string;
  readonly #ownHeaders: Record<string, string>;
  readonly #agent: Agent | false;

  /**
   * `onBehalfOf`: for whom requests are made, when not for the socket's owner; they can do no more than that caller may. `agent`: keeps connections,
   * for who asks often and lives long.
   */
  constructor(socketPath: string, { onBehalfOf, agent }: { onBehalfOf?: KeyHolder; agent?: Agent } = {}) {
    this.#socketPath = socketPath;
    // Without one a connection a request: they cost next to nothing here, and one kept alive can keep a short command from ending.
    this.#agent = agent ?? false;
    this.#ownHeaders = onBehalfOf === undefined ? {} : { [ON_BEHALF_HEADER]: encodeOnBehalf(onBehalfOf) };
  }

  open({ headers, ...head }: RequestHead): ClientRequest {
    return http.request({
      socketPath: this.#socketPath,
      agent: this.#agent,
      headers: { ...this.#ownHeaders, ...headers },
      ...head,
    });
  }

  explainFailure(error: NodeJS.ErrnoException): FirebreakError | undefined {
    if (error.code !== "ENOENT" && error.code !== "ECONNREFUSED") return undefined;
    return new FirebreakError("DAEMON_UNAVAILABLE", "no daemon is running", {
      cause: error,
      hint: "Start it: firebreak daemon start",
    });
  }

  /** A daemon that was started by another version of this program goes on until it is told to end. */
  explainVersion(path: string, version: unknown): FirebreakError | undefined {
    if (version === String(API_VERSION) || SAME_IN_ALL_VERSIONS.has(path)) return undefined;
    return new FirebreakError(
      "DAEMON_UNAVAILABLE",
      version === undefined
        ? "the running daemon is older than this program"
        : `the running daemon speaks API ${version}, this program ${API_VERSION}`,
      { hint: "Restart it: firebreak daemon stop (VMs go on), then run this again." },
    );
  }
}

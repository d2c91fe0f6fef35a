import http, { type ClientRequest } from "node:http";
import { API_VERSION } from "../contract/api-version.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { type Endpoint, type RequestHead, SAME_IN_ALL_VERSIONS } from "./endpoint.ts";

/** This host's daemon, on its UNIX socket. */
export class SocketEndpoint implements Endpoint {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  open(head: RequestHead): ClientRequest {
    // A connection a request: they cost next to nothing here, and one kept alive can keep a short command from ending.
    return http.request({ socketPath: this.#socketPath, agent: false, ...head });
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

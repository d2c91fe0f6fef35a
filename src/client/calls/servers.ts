import type { Readable } from "node:stream";
import type {
  Server,
  ServerApplied,
  ServerApply,
  ServerApprove,
  ServerLogin,
  ServerLoginBegun,
  ServerLoginFinish,
  ServerScan,
  ServerUpdated,
} from "../../contract/server.ts";
import { type CallOptions, type DaemonHttp, signalOf } from "../daemon-http.ts";

/** MCP servers, each in a VM of its own. */
export class ServerCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<Server[]> {
    return (await this.#http.json<{ servers: Server[] }>("GET", "/v1/servers", options)).servers;
  }

  get(name: string, options: CallOptions = {}): Promise<Server> {
    return this.#http.json("GET", serverPath(name), options);
  }

  /** All servers of one file, in the place of those that came from it before. */
  apply(request: ServerApply, options: CallOptions = {}): Promise<ServerApplied> {
    return this.#http.json("PUT", "/v1/servers", options, request);
  }

  /** Installs, starts, lists and saves it, if that has not been done. */
  prepare(name: string, options: CallOptions = {}): Promise<Server> {
    return this.#http.lines("POST", `${serverPath(name)}/prepare`, {}, options);
  }

  start(name: string, options: CallOptions = {}): Promise<Server> {
    return this.#http.lines("POST", `${serverPath(name)}/start`, {}, options);
  }

  stop(name: string, options: CallOptions = {}): Promise<Server> {
    return this.#http.json("POST", `${serverPath(name)}/stop`, options);
  }

  /** What there is to say of what it offers now. */
  scan(name: string, options: CallOptions = {}): Promise<ServerScan> {
    return this.#http.lines("POST", `${serverPath(name)}/scan`, {}, options);
  }

  approve(name: string, request: ServerApprove, options: CallOptions = {}): Promise<ServerScan> {
    return this.#http.lines("POST", `${serverPath(name)}/approve`, request, options);
  }

  /** Installs it anew; a trial only tells what that would change. */
  update(name: string, trial: boolean, options: CallOptions = {}): Promise<ServerUpdated> {
    return this.#http.lines("POST", `${serverPath(name)}/update`, { trial }, options);
  }

  /** Where somebody has to go to log in. */
  beginLogin(name: string, request: ServerLogin, options: CallOptions = {}): Promise<ServerLoginBegun> {
    return this.#http.lines("POST", `${serverPath(name)}/login`, request, options);
  }

  finishLogin(name: string, request: ServerLoginFinish, options: CallOptions = {}): Promise<Server> {
    return this.#http.lines("POST", `${serverPath(name)}/login/finish`, request, options);
  }

  logOut(name: string, options: CallOptions = {}): Promise<Server> {
    return this.#http.json("DELETE", `${serverPath(name)}/login`, options);
  }

  delete(name: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", serverPath(name), options);
  }

  /** What it has printed beside the protocol; with `follow`, also what it prints from now on. */
  log(name: string, follow: boolean, options: CallOptions = {}): Promise<Readable> {
    return this.#http.raw("GET", `${serverPath(name)}/log`, { query: { follow }, ...signalOf(options) });
  }
}

function serverPath(name: string): string {
  return `/v1/servers/${encodeURIComponent(name)}`;
}

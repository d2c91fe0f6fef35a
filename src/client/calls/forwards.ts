import type { Forward, ForwardCreate } from "../../contract/forward.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** Ports of the daemon's host behind which ports of VMs are. */
export class ForwardCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** A port of this host behind which a port of the VM is. */
  create(vm: string, request: ForwardCreate, options: CallOptions = {}): Promise<Forward> {
    return this.#http.json("POST", `${vmPath(vm)}/forwards`, options, request);
  }

  /** Of one VM, or of all. */
  async list(vm?: string, options: CallOptions = {}): Promise<Forward[]> {
    const path = vm === undefined ? "/v1/forwards" : `${vmPath(vm)}/forwards`;
    return (await this.#http.json<{ forwards: Forward[] }>("GET", path, options)).forwards;
  }

  get(id: string, options: CallOptions = {}): Promise<Forward> {
    return this.#http.json("GET", forwardPath(id), options);
  }

  delete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", forwardPath(id), options);
  }
}

function forwardPath(id: string): string {
  return `/v1/forwards/${encodeURIComponent(id)}`;
}

import type { NatSetup, NatStatus } from "../../contract/nat.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** What network cards of VMs need of the host. */
export class NetworkCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  status(options: CallOptions = {}): Promise<NatStatus> {
    return this.#http.json("GET", "/v1/network", options);
  }

  setUp(request: NatSetup, options: CallOptions = {}): Promise<NatStatus> {
    return this.#http.json("PUT", "/v1/network", options, request);
  }

  tearDown(options: CallOptions = {}): Promise<NatStatus> {
    return this.#http.json("DELETE", "/v1/network", options);
  }
}

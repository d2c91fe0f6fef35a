import type { EgressEvent, EgressPage } from "../../contract/egress.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** What VMs have tried to reach. */
export class EgressCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** What VMs have tried to reach; the newest unless `after` is given. */
  list(
    filter: { vm?: string | undefined; after?: number | undefined; limit?: number | undefined } = {},
    options: CallOptions = {},
  ): Promise<EgressPage> {
    return this.#http.json("GET", "/v1/egress", options, undefined, filter);
  }

  /** Each event as it comes, a connection's twice; `skipped` of them were missed, since they were not taken fast enough. */
  follow(
    filter: { vm?: string | undefined; after?: number | undefined },
    options: CallOptions = {},
  ): AsyncGenerator<{ event: EgressEvent } | { skipped: number }> {
    return this.#http.follow("/v1/egress", { ...filter, follow: true }, options);
  }
}

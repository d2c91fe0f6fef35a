import type { DashboardCode } from "../../contract/dashboard.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Sessions of browsers. */
export class SessionCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** A code for one login at the dashboard, and where that is. */
  createCode(options: CallOptions = {}): Promise<DashboardCode> {
    return this.#http.json("POST", "/v1/session/codes", options, {});
  }
}

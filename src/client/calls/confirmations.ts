import type { Confirmation, ConfirmationRequest, RedeemRequest } from "../../contract/call.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Confirm tokens: what a preview hands out, and the call that it was for uses up. */
export class ConfirmationCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  create(request: ConfirmationRequest, options: CallOptions = {}): Promise<Confirmation> {
    return this.#http.json("POST", "/v1/confirmations", options, request);
  }

  /** Uses a confirm token up. Throws CONFIRMATION_* when it is not good for the call. */
  async redeem(request: RedeemRequest, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", "/v1/confirmations/redeem", options, request);
  }
}

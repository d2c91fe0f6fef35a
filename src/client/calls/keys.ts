import type { ApiKey, CreatedKey, KeyCreate } from "../../contract/key.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** API keys of callers over TCP. */
export class KeyCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<ApiKey[]> {
    return (await this.#http.json<{ keys: ApiKey[] }>("GET", "/v1/keys", options)).keys;
  }

  create(request: KeyCreate, options: CallOptions = {}): Promise<CreatedKey> {
    return this.#http.json("POST", "/v1/keys", options, request);
  }

  async revoke(key: string, options: CallOptions = {}): Promise<ApiKey> {
    const path = `/v1/keys/${encodeURIComponent(key)}`;
    return (await this.#http.json<{ revoked: ApiKey }>("DELETE", path, options)).revoked;
  }
}

import type { Secret, SecretSet } from "../../contract/secret.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Secrets of the vault; their values only go in. */
export class SecretCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<Secret[]> {
    return (await this.#http.json<{ secrets: Secret[] }>("GET", "/v1/secrets", options)).secrets;
  }

  get(name: string, options: CallOptions = {}): Promise<Secret> {
    return this.#http.json("GET", secretPath(name), options);
  }

  set(name: string, request: SecretSet, options: CallOptions = {}): Promise<Secret> {
    return this.#http.json("PUT", secretPath(name), options, request);
  }

  rotate(name: string, value: string, options: CallOptions = {}): Promise<Secret> {
    return this.#http.json("PUT", `${secretPath(name)}/value`, options, { value });
  }

  delete(name: string, force: boolean, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", secretPath(name), options, undefined, { force });
  }
}

function secretPath(name: string): string {
  return `/v1/secrets/${encodeURIComponent(name)}`;
}

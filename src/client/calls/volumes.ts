import type { Drive, VolumeCreate } from "../../contract/drive.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Drives that have a file system. */
export class VolumeCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<Drive[]> {
    return (await this.#http.json<{ volumes: Drive[] }>("GET", "/v1/volumes", options)).volumes;
  }

  get(volume: string, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("GET", volumePath(volume), options);
  }

  create(request: VolumeCreate, options: CallOptions = {}): Promise<Drive> {
    return this.#http.json("POST", "/v1/volumes", options, request);
  }

  /** What is on it is lost. */
  delete(volume: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", volumePath(volume), options);
  }
}

function volumePath(volume: string): string {
  return `/v1/volumes/${encodeURIComponent(volume)}`;
}

import type { Readable } from "node:stream";
import type { Artifact, ArtifactCreate } from "../../contract/artifact.ts";
import { type CallOptions, type DaemonHttp, signalOf } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** Files of VMs that are kept. */
export class ArtifactCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** Keeps a file, or a directory as a tar, of a VM. */
  create(vm: string, request: ArtifactCreate, options: CallOptions = {}): Promise<Artifact> {
    return this.#http.lines("POST", `${vmPath(vm)}/artifacts`, request, options);
  }

  async list(options: CallOptions = {}): Promise<Artifact[]> {
    return (await this.#http.json<{ artifacts: Artifact[] }>("GET", "/v1/artifacts", options)).artifacts;
  }

  get(artifact: string, options: CallOptions = {}): Promise<Artifact> {
    return this.#http.json("GET", artifactPath(artifact), options);
  }

  read(
    artifact: string,
    range: { offset?: number; length?: number } = {},
    options: CallOptions = {},
  ): Promise<Readable> {
    return this.#http.raw("GET", `${artifactPath(artifact)}/content`, { query: range, ...signalOf(options) });
  }

  delete(artifact: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", artifactPath(artifact), options);
  }
}

function artifactPath(artifact: string): string {
  return `/v1/artifacts/${encodeURIComponent(artifact)}`;
}

import type { RunPublish } from "../../contract/forward.ts";
import type { ExecRequest } from "../../contract/vm.ts";
import type { ExecInfo } from "../../guest/protocol.ts";
import type { CallOptions, DaemonHttp, PeekOptions } from "../daemon-http.ts";
import type { ExecStream } from "../exec-stream.ts";
import { vmPath } from "./vm-path.ts";

/** Commands in VMs. */
export class ExecCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** Starts a command in a VM; its streams are in the answer. */
  async start(vm: string, spec: ExecRequest, options: CallOptions = {}): Promise<ExecStream> {
    return this.#http.execStream(this, `${vmPath(vm)}/exec`, spec, options, vm);
  }

  /** Runs a command in a VM made for it. */
  async run(request: RunPublish, options: CallOptions = {}): Promise<ExecStream> {
    return this.#http.execStream(this, "/v1/run", request, options, undefined);
  }

  async attach(vm: string, id: string, from: number, follow: boolean, options: CallOptions = {}): Promise<ExecStream> {
    return this.#http.execStream(
      this,
      `${execPath(vm, id)}/attach?from=${from}&follow=${follow}`,
      undefined,
      options,
      vm,
    );
  }

  async list(vm: string, options: CallOptions = {}): Promise<ExecInfo[]> {
    return (await this.#http.json<{ execs: ExecInfo[] }>("GET", `${vmPath(vm)}/execs`, options)).execs;
  }

  get(vm: string, id: string, { isPeek, ...options }: PeekOptions = {}): Promise<ExecInfo> {
    return this.#http.json("GET", execPath(vm, id), options, undefined, isPeek ? { peek: "true" } : {});
  }

  async signal(vm: string, id: string, signal: string, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", `${execPath(vm, id)}/signal`, options, { signal });
  }

  async resize(vm: string, id: string, size: { cols: number; rows: number }): Promise<void> {
    await this.#http.json("POST", `${execPath(vm, id)}/resize`, {}, size);
  }

  async kill(vm: string, id: string, graceMs?: number, options: CallOptions = {}): Promise<void> {
    await this.#http.json("POST", `${execPath(vm, id)}/kill`, options, graceMs === undefined ? {} : { graceMs });
  }
}

function execPath(vm: string, id: string): string {
  return `${vmPath(vm)}/execs/${encodeURIComponent(id)}`;
}

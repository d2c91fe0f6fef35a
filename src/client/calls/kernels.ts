import type { KernelInfo } from "../../contract/daemon.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Kernels that VMs boot. */
export class KernelCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<KernelInfo[]> {
    return (await this.#http.json<{ kernels: KernelInfo[] }>("GET", "/v1/kernels", options)).kernels;
  }

  build(
    request: { force?: boolean; use?: boolean },
    options: CallOptions = {},
  ): Promise<{ kernel: KernelInfo; isUpToDate: boolean }> {
    return this.#http.lines("POST", "/v1/kernels/build", request, options);
  }

  use(id: string, options: CallOptions = {}): Promise<KernelInfo> {
    return this.#http.lines("POST", `${kernelPath(id)}/use`, {}, options);
  }

  get(id: string, options: CallOptions = {}): Promise<KernelInfo> {
    return this.#http.json("GET", kernelPath(id), options);
  }

  delete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", kernelPath(id), options);
  }

  verify(id: string, options: CallOptions = {}): Promise<KernelInfo> {
    return this.#http.json("POST", `${kernelPath(id)}/verify`, options);
  }
}

function kernelPath(id: string): string {
  return `/v1/kernels/${encodeURIComponent(id)}`;
}

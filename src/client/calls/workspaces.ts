import type {
  Workspace,
  WorkspacePull,
  WorkspacePush,
  WorkspaceReport,
  WorkspaceStatus,
} from "../../contract/workspace.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** Host directories that are synced with VMs. */
export class WorkspaceCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<Workspace[]> {
    return (await this.#http.json<{ workspaces: Workspace[] }>("GET", "/v1/workspaces", options)).workspaces;
  }

  get(vm: string, options: CallOptions = {}): Promise<Workspace> {
    return this.#http.json("GET", `${vmPath(vm)}/workspace`, options);
  }

  /** Copies a host directory into a VM, or what has changed in it since. */
  push(vm: string, request: WorkspacePush, options: CallOptions = {}): Promise<WorkspaceReport> {
    return this.#http.lines("POST", `${vmPath(vm)}/workspace/push`, request, options);
  }

  /** Brings what the VM has changed back to the host. */
  pull(vm: string, request: WorkspacePull, options: CallOptions = {}): Promise<WorkspaceReport> {
    return this.#http.lines("POST", `${vmPath(vm)}/workspace/pull`, request, options);
  }

  status(vm: string, options: CallOptions = {}): Promise<WorkspaceStatus> {
    return this.#http.lines("POST", `${vmPath(vm)}/workspace/status`, {}, options);
  }

  detach(vm: string, options: CallOptions = {}): Promise<{ detached: string; id: string }> {
    return this.#http.json("DELETE", `${vmPath(vm)}/workspace`, options);
  }
}

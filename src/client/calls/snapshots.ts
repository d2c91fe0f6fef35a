import type { ForkRequest, Snapshot, SnapshotDetails } from "../../contract/snapshot.ts";
import type { Vm } from "../../contract/vm.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** Saved states of VMs, and what goes on from them. */
export class SnapshotCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  create(vm: string, name: string | undefined, options: CallOptions = {}): Promise<Snapshot> {
    return this.#http.lines("POST", `${vmPath(vm)}/snapshots`, { name }, options);
  }

  async list(options: CallOptions = {}): Promise<Snapshot[]> {
    return (await this.#http.json<{ snapshots: Snapshot[] }>("GET", "/v1/snapshots", options)).snapshots;
  }

  get(snapshot: string, options: CallOptions = {}): Promise<SnapshotDetails> {
    return this.#http.json("GET", snapshotPath(snapshot), options);
  }

  /** The snapshot's VM as it was then; what the VM is now is lost. */
  restore(snapshot: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${snapshotPath(snapshot)}/restore`, {}, options);
  }

  fork(snapshot: string, request: ForkRequest, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${snapshotPath(snapshot)}/fork`, request, options);
  }

  delete(snapshot: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", snapshotPath(snapshot), options);
  }
}

function snapshotPath(snapshot: string): string {
  return `/v1/snapshots/${encodeURIComponent(snapshot)}`;
}

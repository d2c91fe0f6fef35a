import type { Readable } from "node:stream";
import type { VmPublish } from "../../contract/forward.ts";
import type { ForkRequest } from "../../contract/snapshot.ts";
import type { PlanRequest, Vm, VmPlan, VmStats, VmUpdate, WaitRequest } from "../../contract/vm.ts";
import { type CallOptions, type DaemonHttp, signalOf } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** VMs, from their making to their end. */
export class VmCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** `label`: `KEY=VALUE` or `KEY`; all have to hold. */
  async list(options: CallOptions & { label?: readonly string[] } = {}): Promise<Vm[]> {
    const { label } = options;
    return (await this.#http.json<{ vms: Vm[] }>("GET", "/v1/vms", options, undefined, { label })).vms;
  }

  get(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("GET", vmPath(vm), options);
  }

  create(request: VmPublish, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", "/v1/vms", request, options);
  }

  start(vm: string, options: CallOptions & { admissionWaitMs?: number } = {}): Promise<Vm> {
    const { admissionWaitMs, ...call } = options;
    const request = admissionWaitMs === undefined ? {} : { admissionWaitMs };
    return this.#http.lines("POST", `${vmPath(vm)}/start`, request, call);
  }

  stop(vm: string, settings: { graceMs?: number; force?: boolean }, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/stop`, settings, options);
  }

  delete(vm: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", vmPath(vm), options);
  }

  /** What would be done to bring a VM to a state; nothing is. */
  plan(vm: string, request: PlanRequest, options: CallOptions = {}): Promise<VmPlan> {
    return this.#http.json("POST", `${vmPath(vm)}/plan`, options, request);
  }

  pause(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("POST", `${vmPath(vm)}/pause`, options, {});
  }

  /** Lets a paused VM go on, and brings a suspended one back. */
  resume(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("POST", `${vmPath(vm)}/resume`, options, {});
  }

  /** Saves a VM and ends its VMM; whatever is asked of it next brings it back. */
  suspend(vm: string, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/suspend`, {}, options);
  }

  /** A second VM that goes on where this one stands. */
  fork(vm: string, request: ForkRequest, options: CallOptions = {}): Promise<Vm> {
    return this.#http.lines("POST", `${vmPath(vm)}/fork`, request, options);
  }

  stats(vm: string, options: CallOptions = {}): Promise<VmStats> {
    return this.#http.json("GET", `${vmPath(vm)}/stats`, options);
  }

  update(vm: string, changes: VmUpdate, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("PATCH", vmPath(vm), options, changes);
  }

  /** Resolves when the VM is in one of the states; `vm` is absent when it is no more. */
  wait(vm: string, request: WaitRequest, options: CallOptions = {}): Promise<{ state: string; vm?: Vm }> {
    return this.#http.lines("POST", `${vmPath(vm)}/wait`, request, options);
  }

  logs(vm: string, follow: boolean, options: CallOptions = {}): Promise<Readable> {
    return this.#http.raw("GET", `${vmPath(vm)}/logs`, { query: { follow }, ...signalOf(options) });
  }
}

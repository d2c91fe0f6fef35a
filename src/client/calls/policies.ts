import type { VmPolicy, VmPolicySet } from "../../contract/egress.ts";
import type { ProbeResult } from "../../contract/probe.ts";
import type { Vm } from "../../contract/vm.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";
import { vmPath } from "./vm-path.ts";

/** What VMs may reach. */
export class PolicyCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  get(vm: string, options: CallOptions = {}): Promise<VmPolicy> {
    return this.#http.json("GET", `${vmPath(vm)}/policy`, options);
  }

  set(vm: string, policy: VmPolicySet, options: CallOptions = {}): Promise<Vm> {
    return this.#http.json("PUT", `${vmPath(vm)}/policy`, options, policy);
  }

  probe(vm: string, options: CallOptions = {}): Promise<ProbeResult> {
    return this.#http.lines("POST", `${vmPath(vm)}/probe`, {}, options);
  }
}

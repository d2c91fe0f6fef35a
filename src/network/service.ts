import type { EgressEvent } from "../contract/egress.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { EgressLink } from "../guest/egress-link.ts";
import type { GuestNetwork } from "../guest/protocol.ts";
import type { NetworkHooks, VmLink, VmNetwork } from "../vms/ports.ts";
import { Dialer } from "./dial.ts";
import { EgressLog } from "./egress-log.ts";
import type { EgressStore } from "./egress-store.ts";
import { findProblems } from "./problems.ts";
import { type CompiledPolicy, compilePolicy, type NamedSets } from "./rules.ts";
import { type FlowOpener, VmEgress } from "./vm-egress.ts";

const ATTACH_DEADLINE_MS = 10_000;
/** What a VM's start waits for its way out; it goes on without then. */
const READY_DEADLINE_MS = 5_000;

export interface NetworkServiceOptions {
  store: EgressStore;
  /** Named sets of rules, as this host has them now. */
  sets: () => NamedSets;
  env: NodeJS.ProcessEnv;
  log: (message: string, fields: Record<string, unknown>) => void;
  openerOf?: (vm: VmNetwork) => FlowOpener;
  /** Replaced in tests. */
  dialer?: Dialer;
}

interface Open {
  egress: VmEgress;
  link: EgressLink;
  close: () => void;
}

/** The ways out of all VMs of one daemon. */
export class NetworkService implements NetworkHooks {
  readonly #options: NetworkServiceOptions;
  readonly #dialer: Dialer;
  readonly #open = new Map<string, Open>();
  readonly log: EgressLog;

  constructor(options: NetworkServiceOptions) {
    this.#options = options;
    this.#dialer = options.dialer ?? new Dialer({ env: options.env });
    this.log = new EgressLog(options.store, (error) =>
      options.log("egress events could not be kept", { error: toFirebreakError(error).message }),
    );
  }

  /** Throws POLICY_INVALID, which names each rule that cannot be meant. */
  check(policy: EgressPolicy): void {
    const problems = findProblems(policy, this.#options.sets()).filter(({ severity }) => severity === "error");
    if (problems.length === 0) return;
    throw new FirebreakError(
      "POLICY_INVALID",
      problems.map(({ field, message }) => `${field}: ${message}`).join("; "),
      { details: { problems } },
    );
  }

  /** Rules that have no effect, or more than they seem to, for people. */
  warningsOf(policy: EgressPolicy): string[] {
    const problems = findProblems(policy, this.#options.sets()).filter(({ severity }) => severity === "warning");
    return problems.map(({ field, rule, message }) => `${field}${rule === undefined ? "" : ` (${rule})`}: ${message}`);
  }

  /** What a guest is told of its network before a command runs in it. */
  valuesFor({ name, policy }: VmNetwork): GuestNetwork {
    if (policy.mode === "allowlist" || policy.mode === "public") return { mode: "proxy" };
    return {
      mode: "none",
      reason: `this VM has no network; open one with: firebreak vm policy set ${name} --allow HOST`,
    };
  }

  /** Keeps a running VM's way out up until its signal aborts. */
  open(vm: VmNetwork, link: VmLink): void {
    this.#close(vm.id);
    if (this.valuesFor(vm).mode !== "proxy" || link.signal.aborted) return;
    const egress = new VmEgress({
      vm: { id: vm.id, name: vm.name },
      policy: this.#compile(vm.policy),
      dialer: this.#dialer,
      log: this.log,
      onUse: link.onUse,
      ...(this.#options.openerOf === undefined ? {} : { opener: this.#options.openerOf(vm) }),
    });
    const egressLink = new EgressLink({
      open: link.openEgress,
      attachDeadlineMs: ATTACH_DEADLINE_MS,
      onStream: (stream, headers) => egress.handle(stream, headers),
      onFailure: (reason) => this.#options.log("a VM has no way out", { vm: vm.name, reason }),
    });
    const close = () => {
      link.signal.removeEventListener("abort", close);
      egressLink.close();
      if (this.#open.get(vm.id)?.link === egressLink) this.#open.delete(vm.id);
    };
    link.signal.addEventListener("abort", close, { once: true });
    this.#open.set(vm.id, { egress, link: egressLink, close });
  }

  /** Resolves when a VM that has a way out can use it, or after a while without. */
  async ready(vmId: string): Promise<void> {
    const open = this.#open.get(vmId);
    if (open === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, READY_DEADLINE_MS);
    await Promise.race([open.link.attached, promise]);
    clearTimeout(timer);
  }

  enforce(vm: VmNetwork, link: VmLink): void {
    const open = this.#open.get(vm.id);
    if (open !== undefined && this.valuesFor(vm).mode === "proxy") open.egress.setPolicy(this.#compile(vm.policy));
    else this.open(vm, link);
  }

  #compile(policy: EgressPolicy): CompiledPolicy {
    return compilePolicy(policy, this.#options.sets());
  }

  #close(vmId: string): void {
    this.#open.get(vmId)?.close();
  }

  forget(vmId: string): void {
    this.#close(vmId);
    this.log.forget(vmId);
  }

  events(filter: { vmId?: string | undefined; afterId?: number | undefined; limit: number }): EgressEvent[] {
    return this.log.list(filter);
  }

  close(): void {
    for (const vmId of [...this.#open.keys()]) this.#close(vmId);
    this.log.close();
  }
}

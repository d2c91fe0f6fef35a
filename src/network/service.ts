import type { EgressEvent } from "../contract/egress.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import type { ProbeResult } from "../contract/probe.ts";
import type { SecretGrant } from "../contract/secret.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { EgressLink } from "../guest/egress-link.ts";
import type { GuestNetwork } from "../guest/protocol.ts";
import type { SecretService } from "../secrets/service.ts";
import type { NetworkCard } from "../vmm/driver.ts";
import type { NetworkHooks, VmLink, VmNetwork } from "../vms/ports.ts";
import { Dialer } from "./dial.ts";
import { EgressLog } from "./egress-log.ts";
import type { EgressStore } from "./egress-store.ts";
import type { NatService } from "./nat/service.ts";
import { Authority } from "./opened/authority.ts";
import { findProblems } from "./problems.ts";
import { parseRule } from "./rule-text.ts";
import { type CompiledPolicy, compilePolicy, decideConnection, type NamedSets } from "./rules.ts";
import { VmEgress } from "./vm-egress.ts";

const ATTACH_DEADLINE_MS = 10_000;
/** What a VM's start waits for its way out; it goes on without then. */
const READY_DEADLINE_MS = 5_000;

export interface NetworkServiceOptions {
  store: EgressStore;
  /** Named sets of rules, as this host has them now. */
  sets: () => NamedSets;
  /** Certificates besides, PEM, that VMs with a way out trust. */
  trust: () => string[] | undefined;
  env: NodeJS.ProcessEnv;
  log: (message: string, fields: Record<string, unknown>) => void;
  secrets: SecretService;
  nat: NatService;
  /** 32 bytes for a purpose, the same each time. */
  derive: (purpose: string) => Buffer;
  /** Replaced in tests. */
  dialer?: Dialer;
}

interface Open {
  vm: VmNetwork;
  egress: VmEgress;
  link: EgressLink;
  close: () => void;
}

/** The ways out of all VMs of one daemon. */
export class NetworkService implements NetworkHooks {
  readonly #options: NetworkServiceOptions;
  readonly #dialer: Dialer;
  readonly #open = new Map<string, Open>();
  readonly #authorities = new Map<string, Authority>();
  readonly log: EgressLog;

  constructor(options: NetworkServiceOptions) {
    this.#options = options;
    this.#dialer = options.dialer ?? new Dialer({ env: options.env });
    this.log = new EgressLog(options.store, (error) =>
      options.log("egress events could not be kept", { error: toFirebreakError(error).message }),
    );
  }

  /** Throws POLICY_INVALID, which names each rule that cannot be meant. */
  check(policy: EgressPolicy, secrets: readonly SecretGrant[]): void {
    this.#options.secrets.check(secrets);
    if (policy.mode === "nat") this.#checkCard(policy, secrets);
    const problems = findProblems(policy, this.#options.sets()).filter(({ severity }) => severity === "error");
    if (problems.length === 0) return;
    throw new FirebreakError(
      "POLICY_INVALID",
      problems.map(({ field, message }) => `${field}: ${message}`).join("; "),
      { details: { problems } },
    );
  }

  #checkCard(policy: EgressPolicy, secrets: readonly SecretGrant[]): void {
    this.#options.nat.check(policy);
    const proxied = this.#options.secrets.granted(secrets).find(({ expose }) => expose === "proxy");
    if (proxied === undefined) return;
    throw new FirebreakError(
      "SECRET_INVALID",
      `the placeholder of ${proxied.name} cannot become its value: with a network card nobody on the host reads the VM's requests`,
      { hint: "Use names instead: --network allowlist, or public" },
    );
  }

  /** Rules that have no effect, or more than they seem to, for people. */
  warningsOf(policy: EgressPolicy, secrets: readonly SecretGrant[]): string[] {
    const problems = findProblems(policy, this.#options.sets()).filter(({ severity }) => severity === "warning");
    const compiled = this.#compile(policy);
    const unreachable = this.#options.secrets
      .granted(secrets)
      // What comes along with another is told of there.
      .filter(({ name }) => secrets.some((grant) => grant.name === name))
      .flatMap(({ name, hosts, expose }) =>
        hosts
          .filter((host) => expose === "proxy" && !reachesSome(compiled, host))
          .map((host) => `the secret ${name} is for ${host}, which the policy does not allow`),
      );
    return [
      ...problems.map(({ field, rule, message }) => `${field}${rule === undefined ? "" : ` (${rule})`}: ${message}`),
      ...unreachable,
    ];
  }

  hasUserCard({ mode }: EgressPolicy): boolean {
    return mode === "nat" && this.#options.nat.kind === "user";
  }

  isSavable({ policy }: VmNetwork): boolean {
    return policy.mode !== "nat" || this.#options.nat.isSavable;
  }

  environmentOf({ secrets }: Pick<VmNetwork, "secrets">): Record<string, string> {
    const granted = this.#options.secrets.granted(secrets);
    return Object.fromEntries(
      granted.map(({ name, expose, placeholder, value }) => [name, expose === "env" ? value() : placeholder]),
    );
  }

  exposedIn({ secrets }: VmNetwork): string[] {
    const granted = this.#options.secrets.granted(secrets);
    return granted.filter(({ expose }) => expose === "env").map(({ name }) => name);
  }

  /** Only of a VM whose TLS may be opened: making its programs trust takes a guest some time. */
  async trustOf(vm: VmNetwork): Promise<string | undefined> {
    if (this.valuesFor(vm).mode !== "proxy") return undefined;
    const hasSecrets = this.#options.secrets.granted(vm.secrets).some(({ expose }) => expose === "proxy");
    const hasLimits = (vm.policy.allow ?? []).some(
      (rule) => typeof rule !== "string" && (rule.methods !== undefined || rule.paths !== undefined),
    );
    const own = hasSecrets || hasLimits ? [await this.#authority(vm).certificate()] : [];
    const all = [...own, ...(this.#options.trust() ?? [])];
    return all.length === 0 ? undefined : `${all.join("\n")}\n`;
  }

  /** What a guest is told of its network before a command runs in it. */
  valuesFor({ id, name, uid, policy }: VmNetwork): GuestNetwork {
    if (policy.mode === "nat") return { mode: "nat", nat: this.#options.nat.cardOf({ id, name, uid, policy }) };
    if (policy.mode !== "none") return { mode: "proxy" };
    return {
      mode: "none",
      reason: `this VM has no network; open one with: firebreak vm policy set ${name} --allow HOST`,
    };
  }

  /** Keeps a running VM's way out up until its signal aborts. */
  open(vm: VmNetwork, link: VmLink): void {
    this.#close(vm.id);
    if (this.valuesFor(vm).mode !== "proxy" || link.signal.aborted) return;
    const about = { id: vm.id, name: vm.name };
    const egress = new VmEgress({
      vm: about,
      policy: this.#compile(vm.policy),
      dialer: this.#dialer,
      log: this.log,
      onUse: link.onUse,
      // A daemon whose VMs have no way out does without the code for it, and its memory.
      opener: async (owner) => {
        const { Opener } = await import("./opened/opener.ts");
        return new Opener({
          vm: about,
          authority: this.#authority(vm),
          secrets: () => this.#options.secrets.granted(this.#open.get(vm.id)?.vm.secrets ?? vm.secrets),
          policy: () => owner.policy,
          dial: (flow) => owner.dial(flow),
          log: this.log,
        });
      },
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
    this.#open.set(vm.id, { vm, egress, link: egressLink, close });
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

  async plug(vm: VmNetwork, options: { hasOwnNamespace: boolean }): Promise<NetworkCard | undefined> {
    return vm.policy.mode === "nat" ? this.#options.nat.plug(vm, options) : undefined;
  }

  unplug(vmId: string): Promise<void> {
    return this.#options.nat.unplug(vmId);
  }

  async traffic(vmId: string): Promise<{ receivedBytes: number; sentBytes: number } | undefined> {
    return this.#open.get(vmId)?.link.traffic ?? this.#options.nat.traffic(vmId);
  }

  async enforce(vm: VmNetwork, link: VmLink): Promise<void> {
    if (vm.policy.mode === "nat") return this.#options.nat.enforce(vm);
    const open = this.#open.get(vm.id);
    if (open === undefined || this.valuesFor(vm).mode !== "proxy") {
      this.open(vm, link);
      return;
    }
    open.vm = vm;
    open.egress.setPolicy(this.#compile(vm.policy));
  }

  #compile(policy: EgressPolicy): CompiledPolicy {
    return compilePolicy(policy, this.#options.sets());
  }

  #authority(vm: VmNetwork): Authority {
    const known = this.#authorities.get(vm.id);
    if (known !== undefined) return known;
    const authority = new Authority(vm.authority ?? vm.id, this.#options.derive);
    this.#authorities.set(vm.id, authority);
    return authority;
  }

  #close(vmId: string): void {
    this.#open.get(vmId)?.close();
  }

  forget(vmId: string): void {
    this.#close(vmId);
    this.#authorities.delete(vmId);
    this.log.forget(vmId);
  }

  /** What gets out of a running VM, tried from within it. */
  async probe(vm: VmNetwork, client: GuestClient, onProgress: (message: string) => void): Promise<ProbeResult> {
    if (vm.policy.mode === "nat") {
      const { probeAddresses } = await import("./nat/probe.ts");
      const { gateway } = this.#options.nat.cardOf(vm);
      const trapAddress = this.#options.nat.hostAddress;
      const findings = await probeAddresses({ client, policy: vm.policy, gateway, trapAddress }, onProgress);
      return { vm: vm.name, isTight: findings.every(({ isExpected }) => isExpected), findings };
    }
    const { probeEgress } = await import("./probe.ts");
    const egress = this.#open.get(vm.id)?.egress;
    const findings = await probeEgress(
      {
        ...{ client, policy: vm.policy, compiled: this.#compile(vm.policy), sets: this.#options.sets() },
        layDecoys: (decoys) => egress?.layDecoys(decoys) ?? (() => {}),
      },
      onProgress,
    );
    return { vm: vm.name, isTight: findings.every(({ isExpected }) => isExpected), findings };
  }

  events(filter: { vmId?: string | undefined; afterId?: number | undefined; limit: number }): EgressEvent[] {
    return this.log.list(filter);
  }

  close(): void {
    for (const vmId of [...this.#open.keys()]) this.#close(vmId);
    this.log.close();
  }
}

/** Throws SECRET_INVALID when a text is no host of a rule. Sets are none: what they hold may change without anybody thinking of the secret. */
export function checkSecretHosts(hosts: readonly string[]): void {
  for (const host of hosts) {
    const entries = parseRule(host, new Map(), [[443, 443]]);
    if (!("why" in entries)) continue;
    const [isLoopback, port] = /^(?:127(?:\.\d{1,3}){3}|\[?::1\]?)(:\S+)?$/.exec(host) ?? [];
    throw new FirebreakError("SECRET_INVALID", `--host ${host}: ${entries.why}`, {
      ...(isLoopback === undefined
        ? {}
        : { hint: `The name of this host's own addresses is localhost: --host localhost${port ?? ""}` }),
    });
  }
}

/** Whether a policy lets a VM to some port of a host that a secret is for. */
function reachesSome(policy: CompiledPolicy, host: string): boolean {
  const entries = parseRule(host, new Map(), [[443, 443]]);
  if ("why" in entries) return false;
  return entries.some(({ name, ports, isWildcard }) =>
    ports.some(([port]) => decideConnection(policy, isWildcard ? `some.${name}` : name, port).isAllowed),
  );
}

import type { EgressPolicy, EgressRule } from "../../contract/policy.ts";
import { ALL_PORTS, coversPorts, WEB_PORTS } from "../../network/ports.ts";
import { findProblems } from "../../network/problems.ts";
import { parseRule } from "../../network/rule-text.ts";
import { describePorts } from "./bounds.ts";
import { errorAt } from "./document.ts";
import { errorIn, type Sourced } from "./layers.ts";
import { type ServerPlan, warnAt, whyBounded } from "./plan.ts";

/** What a server may reach. Throws CONFIG_INVALID at the rule that cannot be meant. */
export function buildNetwork(plan: ServerPlan): EgressPolicy {
  const { composed, bounds } = plan;
  const named = composed.get("network");
  const allow = composed.allow.filter(({ layer }) => layer.kind !== "defaults" || isWithin(plan, "allowlist"));
  const opens = allow.at(-1);
  // A layer that has hosts, and is not before the one that names a network, implies the list.
  const implied = opens !== undefined && (named === undefined || named.value === "none" || named.value === "public");
  let mode = implied ? "allowlist" : (named?.value ?? "none");
  const from = implied ? opens : named;
  if (!isWithin(plan, mode)) {
    if (from?.layer.kind !== "defaults")
      throw errorIn((from as Sourced<unknown>).layer, (from as Sourced<unknown>).key, whyNetwork(plan));
    mode = "none";
  }
  const source = {
    allow: mode === "allowlist" || mode === "nat" ? allow : [],
    deny: mode === "none" ? [] : composed.deny,
  };
  const policy: EgressPolicy = {
    mode,
    ...(mode === "allowlist" || source.allow.length > 0
      ? {
          allow: source.allow.map(({ value }) => (mode === "allowlist" ? openPrivate(value, plan) : value)),
        }
      : {}),
    ...(source.deny.length > 0 ? { deny: source.deny.map(({ value }) => value) } : {}),
    ...(mode !== "none" && Object.keys(composed.hostAddresses).length > 0 ? { hosts: composed.hostAddresses } : {}),
  };
  checkRules(plan, policy, source, from);
  checkPorts(plan, source.allow, mode);
  checkSecrets(plan, mode);
  if (bounds.ports !== undefined && (mode === "public" || (mode === "nat" && source.allow.length === 0)))
    throw errorIn(
      (from as Sourced<unknown>).layer,
      (from as Sourced<unknown>).key,
      whyBounded(plan.profile, `ports ${describePorts(bounds.ports)} alone`),
    );
  return policy;
}

/** No network is within every bound. */
function isWithin({ bounds }: ServerPlan, mode: EgressPolicy["mode"]): boolean {
  return mode === "none" || bounds.network === undefined || bounds.network.includes(mode);
}

function whyNetwork({ bounds, profile }: ServerPlan): string {
  const modes = (bounds.network ?? []).filter((mode) => mode !== "none");
  return whyBounded(profile, modes.length === 0 ? "no network" : `no network but ${modes.join(" or ")}`);
}

/** With private_hosts a rule's names may lead into private networks; a set is its own affair. */
function openPrivate(rule: EgressRule, { composed, context }: ServerPlan): EgressRule {
  const host = typeof rule === "string" ? rule : rule.host;
  if (composed.get("private_hosts")?.value !== true || context.sets.has(host.split(":")[0] ?? "")) return rule;
  return typeof rule === "string" ? { host: rule, private: true } : { private: true, ...rule };
}

function checkRules(
  plan: ServerPlan,
  policy: EgressPolicy,
  source: { allow: Sourced<EgressRule>[]; deny: Sourced<EgressRule>[] },
  from: Sourced<unknown> | undefined,
): void {
  for (const { field, message, severity } of findProblems(policy, plan.context.sets)) {
    const [, list, place] = /^(allow|deny)\[(\d+)\]$/.exec(field) ?? [];
    const found = list === undefined ? from : source[list as "allow" | "deny"][Number(place)];
    if (severity === "warning" && found !== undefined) warnAt(plan, found, message);
    if (severity === "warning") continue;
    if (field.startsWith("hosts")) throw errorAt(plan.document, [...plan.path, "host_addresses"], message);
    throw found === undefined ? errorAt(plan.document, plan.path, message) : errorIn(found.layer, found.key, message);
  }
}

function checkPorts(plan: ServerPlan, rules: Sourced<EgressRule>[], mode: string): void {
  const { bounds, context, profile } = plan;
  if (bounds.ports === undefined) return;
  for (const { value, layer, key } of rules) {
    const entries = mode === "nat" ? [{ ports: ALL_PORTS }] : parseRule(value, context.sets, WEB_PORTS);
    const ports = bounds.ports;
    if ("why" in entries || entries.every((entry) => coversPorts(ports, entry.ports))) continue;
    const host = typeof value === "string" ? value : value.host;
    const hint = /:[\d,\s*-]+$/.test(host) ? "" : `; name the port, such as ${host}:${ports[0]?.[0]}`;
    throw errorIn(layer, key, `${whyBounded(profile, `the ports ${describePorts(ports)} alone`)}${hint}`);
  }
}

/** A placeholder becomes the value on its way out: without a way out it is worth nothing. */
function checkSecrets({ composed, context }: ServerPlan, mode: string): void {
  for (const { value, layer, key } of composed.secrets) {
    const { name, hosts = [], expose } = typeof value === "string" ? { name: value } : value;
    for (const [place, host] of hosts.entries()) {
      const parsed = parseRule(host, context.sets, WEB_PORTS);
      if ("why" in parsed) throw errorIn(layer, [...key, "hosts", place], parsed.why);
    }
    if (mode === "none" && expose !== "env")
      throw errorIn(
        layer,
        key,
        `without a network the secret ${name} is of no use: name its hosts in allowed_hosts, or give the server the value itself with { name = "${name}", expose = "env" }`,
      );
  }
}

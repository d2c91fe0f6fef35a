import type { EgressPolicyInput, EgressRule } from "../contract/policy.ts";
import type { Secret, SecretGrant } from "../contract/secret.ts";

/**
 * The policy with the hosts of its secrets, which would be of no use otherwise. A host that it has a rule in full for (`{"host": …}`) is left to that: a
 * rule beside it would undo its limits.
 */
export function allowHosts(
  policy: EgressPolicyInput,
  grants: readonly SecretGrant[],
  known: readonly Pick<Secret, "name" | "hosts">[],
): EgressPolicyInput {
  const hosts = grants.flatMap(({ name, hosts }) => hosts ?? known.find((secret) => secret.name === name)?.hosts ?? []);
  const allow = policy.allow ?? [];
  const missing = hosts
    .map((host) => (/:[\d,*\s-]+$/.test(host) ? host : `${host}:443`))
    .filter((rule) => !allow.some((own) => own === rule || (typeof own !== "string" && names(own, rule))));
  if (missing.length === 0 || policy.mode === "public" || policy.mode === "nat") return policy;
  return { ...policy, mode: "allowlist", allow: [...allow, ...missing] };
}

function names({ host }: Exclude<EgressRule, string>, rule: string): boolean {
  const [own, other] = [host, rule].map((text) => text.toLowerCase().replace(/:[^:]*$/, ""));
  return own === other || (own?.startsWith("*.") === true && other?.endsWith(own.slice(1)) === true);
}

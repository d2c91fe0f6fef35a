import { z } from "zod";

/** What a VM may reach: the HTTP API's policies, in snapshots and in the store too. */

/**
 * `none`: nothing. `allowlist`: the names of `allow`. `public`: every name that leads to a public address. `nat`: a network card, with rules of
 * addresses instead of names, or every public address without `allow`.
 */
export const EGRESS_MODES = ["none", "allowlist", "public", "nat"] as const;
export type EgressMode = (typeof EGRESS_MODES)[number];

export const MAX_RULES = 1_000;
/** Names have at most 253 bytes (RFC 1035 §2.3.4); ports come behind. */
const MAX_RULE_TEXT = 600;

/** Matching a path that has many takes long. */
const MAX_STARS = 4;

const text = z
  .string()
  .min(1, "a rule is not empty")
  .max(MAX_RULE_TEXT, `a rule has at most ${MAX_RULE_TEXT} characters`);

/** A rule that says more than its text can. */
export const ruleObjectSchema = z.strictObject({
  host: text.describe("a name, `*.NAME` for those below it, or a named set"),
  ports: z
    .string()
    .max(MAX_RULE_TEXT)
    .optional()
    .describe("`443`, `443,8000-8100` or `*`; without: 80 and 443 where it allows, all where it denies"),
  private: z.boolean().optional().describe("the name may lead into a private network, or to this host itself"),
  methods: z
    .array(z.string().regex(/^[A-Z][A-Z-]{0,31}$/, "a method is upper-case letters"))
    .min(1)
    .max(32)
    .optional()
    .describe("HTTP methods; its TLS is opened for that"),
  paths: z
    .array(
      z
        .string()
        .startsWith("/", "a path begins with /")
        .max(1_024)
        .refine((path) => path.split(/\*+/).length <= MAX_STARS + 1, `a path has at most ${MAX_STARS} stars`),
    )
    .min(1)
    .max(64)
    .optional()
    .describe("HTTP paths: `*` is any part of one, `**` any rest; its TLS is opened for that"),
});
export const ruleSchema = z.union([text, ruleObjectSchema]);
export type EgressRule = z.infer<typeof ruleSchema>;

const rules = z.array(ruleSchema).max(MAX_RULES, `at most ${MAX_RULES} rules`);
const address = z.union([z.ipv4(), z.ipv6()], "an IP address");

export const egressPolicySchema = z.strictObject({
  mode: z.enum(EGRESS_MODES, EGRESS_MODES.join(", ")),
  allow: rules.optional(),
  deny: rules.optional().describe("before all that allows"),
  hosts: z
    .record(z.string().max(253), address)
    .refine((hosts) => Object.keys(hosts).length <= MAX_RULES, `at most ${MAX_RULES} names`)
    .optional()
    .describe("addresses of names, in the place of what this host's resolver says"),
});
export type EgressPolicy = z.infer<typeof egressPolicySchema>;
export type EgressPolicyInput = z.input<typeof egressPolicySchema>;

/** What a VM has unless somebody says otherwise. */
export const NO_NETWORK: EgressPolicy = { mode: "none" };

/** A policy in lines for people. */
export function describePolicy(policy: EgressPolicy): string[] {
  const { mode, allow = [], deny = [], hosts = {} } = policy;
  const list = (rules: readonly EgressRule[]) => rules.map(describeRule).join(", ");
  return [
    {
      none: "none",
      allowlist: allow.length === 0 ? "allowlist: nothing" : `allowlist: ${list(allow)}`,
      public: "public: any public name",
      nat: policy.allow === undefined ? "nat: any public address" : `nat: ${list(allow)}`,
    }[mode],
    ...(deny.length === 0 ? [] : [`but not: ${list(deny)}`]),
    ...Object.entries(hosts).map(([name, at]) => `${name} is at ${at}`),
  ];
}

/** A rule's text, as its events name it. */
export function describeRule(rule: EgressRule): string {
  if (typeof rule === "string") return rule;
  const { host, ports, methods, paths } = rule;
  const limits = [...(methods ?? []), ...(paths ?? []), ...(rule.private === true ? ["private"] : [])];
  return `${host}${ports === undefined ? "" : `:${ports}`}${limits.length === 0 ? "" : ` (${limits.join(" ")})`}`;
}

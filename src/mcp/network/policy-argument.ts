import { z } from "zod";
import { EGRESS_MODES, type EgressPolicyInput } from "../../contract/policy.ts";

const rules = z.array(z.string().max(600)).max(1_000).optional();

/** What a VM may reach, as tools take it. */
export const networkArgument = z
  .strictObject({
    mode: z
      .enum(EGRESS_MODES)
      .optional()
      .describe(
        "none; allowlist (default with allow); public: any public name; nat: a network card (network_setup), rules are addresses.",
      ),
    allow: rules.describe(
      "Names: 'api.github.com', '*.github.com', 'db.internal:5432', or sets: registries, github, anthropic, openai, google-ai. Without a port: 80 and 443.",
    ),
    deny: rules.describe("Names that it may not reach, whatever else allows them."),
  })
  .describe("What the VM may reach (default: nothing).");

export function toPolicy({ mode, allow = [], deny = [] }: z.output<typeof networkArgument>): EgressPolicyInput {
  return {
    mode: mode ?? (allow.length > 0 ? "allowlist" : "none"),
    ...(allow.length === 0 ? {} : { allow }),
    ...(deny.length === 0 ? {} : { deny }),
  };
}

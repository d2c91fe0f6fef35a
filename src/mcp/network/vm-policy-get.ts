import { z } from "zod";
import { describePolicy } from "../../contract/policy.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const vmPolicyGet = defineTool({
  name: "vm_policy_get",
  title: "Show what a VM may reach",
  description: "Shows what a VM may reach over the network, and which of its rules have no effect.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: z.strictObject({ vm: z.string(), network: z.array(z.string()), warnings: z.array(z.string()) }),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const { vm, policy, warnings } = await client.policies.get(nameOrId, { signal });
    const network = describePolicy(policy);
    return {
      structured: { vm, network, warnings },
      vm,
      facts: [policy.mode],
      text: [...network, ...warnings.map((warning) => `Note: ${warning}`)].join("\n"),
    };
  },
});

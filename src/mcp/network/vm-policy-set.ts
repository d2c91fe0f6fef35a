import { z } from "zod";
import { describePolicy, egressPolicySchema } from "../../contract/policy.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { networkArgument, toPolicy } from "./policy-argument.ts";

export const vmPolicySet = defineTool({
  name: "vm_policy_set",
  title: "Change what a VM may reach",
  description:
    "Replaces what a VM may reach over the network, as it runs: what is not given is gone. Connections that both policies allow go on. Needs the confirm_token of a preview, unless it is mode none.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  inputSchema: z.strictObject({ vm: vmArgument, ...networkArgument.shape }),
  outputSchema: z.strictObject({ vm: z.string(), network: z.array(z.string()) }),
  confirm: async ({ vm: nameOrId, ...network }, { client, signal }) => {
    const { vm, policy } = await client.policies.get(nameOrId, { signal });
    const { id } = await client.vms.get(nameOrId, { signal });
    return {
      steps: [
        `now: ${describePolicy(policy).join("; ")}`,
        `then: ${describePolicy(egressPolicySchema.parse(toPolicy(network))).join("; ")}`,
      ],
      state: { id, policy },
      pinned: { vm: id },
      vm,
    };
  },
  // To close a way out needs nobody's consent.
  confirmWhen: ({ vm: _vm, ...network }) => toPolicy(network).mode !== "none",
  handler: async ({ vm: nameOrId, ...network }, { client, signal }) => {
    const vm = await client.policies.set(nameOrId, toPolicy(network), { signal });
    const words = describePolicy(vm.network);
    return {
      structured: { vm: vm.name, network: words },
      vm: vm.name,
      facts: ["changed", vm.network.mode],
      text: words.join("\n"),
    };
  },
});

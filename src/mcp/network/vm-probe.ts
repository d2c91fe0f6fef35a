import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const vmProbe = defineTool({
  name: "vm_probe",
  title: "Probe what gets out of a VM",
  description:
    "Tries to get out of a running VM, from within it, in the ways that are tried (other names, addresses, ports, name servers, metadata, redirects, names that change their mind), and compares with its network policy. Takes some seconds.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  isLong: true,
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: z.strictObject({
    vm: z.string(),
    is_tight: z.boolean().describe("Nothing got out but what the policy allows, and that did."),
    findings: z.array(
      z.strictObject({
        probe: z.string(),
        target: z.string(),
        got_out: z.boolean(),
        as_expected: z.boolean(),
        detail: z.string(),
      }),
    ),
  }),
  handler: async ({ vm: nameOrId }, { client, signal, onProgress }) => {
    const { vm, isTight, findings } = await client.policies.probe(nameOrId, { signal, onProgress });
    return {
      structured: {
        vm,
        is_tight: isTight,
        findings: findings.map(({ probe, target, isOut, isExpected, detail }) => ({
          ...{ probe, target, detail },
          got_out: isOut,
          as_expected: isExpected,
        })),
      },
      vm,
      facts: [isTight ? "tight" : "not as its policy says"],
      text: findings
        .map(({ probe, target, isOut, isExpected, detail }) =>
          [isExpected ? "ok" : "WRONG", isOut ? "out" : "kept in", probe, target, detail].join(" · "),
        )
        .join("\n"),
    };
  },
});

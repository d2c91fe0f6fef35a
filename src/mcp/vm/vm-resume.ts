import { z } from "zod";
import { planTo } from "../plans.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { toVmState, vmStateSchema } from "./vm-view.ts";

export const vmResume = defineTool({
  name: "vm_resume",
  title: "Resume a VM",
  description: "Lets a paused VM go on where it was, and brings a suspended one back. A running VM is left as it is.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: vmStateSchema,
  plan: planTo("running"),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const vm = await client.vms.resume(nameOrId, { signal });
    return { structured: toVmState(vm), vm: vm.name, facts: [vm.state] };
  },
});

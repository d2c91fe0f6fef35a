import { z } from "zod";
import { planTo } from "../plans.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { toVmState, vmStateSchema } from "./vm-view.ts";

export const vmStop = defineTool({
  name: "vm_stop",
  title: "Stop a VM",
  description: "Shuts a VM down in order: its processes end, its disk and files stay for vm_start.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: vmStateSchema,
  plan: planTo("stopped"),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const vm = await client.vms.stop(nameOrId, {}, { signal });
    return { structured: toVmState(vm), vm: vm.name, facts: [vm.state] };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const vmStop = defineTool({
  name: "vm_stop",
  title: "Stop a VM",
  description: "Shuts a VM down in order: its processes end, its disk and files stay for vm_start.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: z.strictObject({ vm: z.string(), state: z.string() }),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const vm = await client.vmStop(nameOrId, {}, { signal });
    return { structured: { vm: vm.name, state: vm.state }, vm: vm.name, facts: [vm.state] };
  },
});

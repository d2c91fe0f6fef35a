import { z } from "zod";
import { planTo } from "../plans.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { toVmState, vmStateSchema } from "./vm-view.ts";

export const vmSuspend = defineTool({
  name: "vm_suspend",
  title: "Suspend a VM",
  description:
    "Saves a running VM to disk and frees its memory. The next command or file call brings it back by itself, with its processes where they were.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: vmStateSchema,
  plan: planTo("suspended"),
  handler: async ({ vm: nameOrId }, { client, signal, onProgress }) => {
    const vm = await client.vms.suspend(nameOrId, { signal, onProgress });
    return { structured: toVmState(vm), vm: vm.name, facts: [vm.state] };
  },
});

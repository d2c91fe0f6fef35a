import { z } from "zod";
import { planTo } from "../plans.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { toVmState, vmStateSchema } from "./vm-view.ts";

export const vmPause = defineTool({
  name: "vm_pause",
  title: "Pause a VM",
  description:
    "Makes a running VM stand still where it is: it uses no CPU, keeps its memory, and refuses commands and files until vm_resume.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: vmStateSchema,
  plan: planTo("paused"),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const vm = await client.vms.pause(nameOrId, { signal });
    return { structured: toVmState(vm), vm: vm.name, facts: [vm.state] };
  },
});

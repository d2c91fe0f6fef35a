import { z } from "zod";
import { planTo } from "../plans.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { toWait, waitArguments } from "./kind.ts";
import { toVmState, vmStateSchema } from "./vm-view.ts";

export const vmStart = defineTool({
  name: "vm_start",
  title: "Start a VM",
  description:
    "Starts a stopped or crashed VM on the disk that it has; returns when commands can run in it. A running VM is left as it is; a paused or suspended one goes on where it was.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({ vm: vmArgument, ...waitArguments }),
  outputSchema: vmStateSchema,
  plan: planTo("running"),
  handler: async ({ vm: nameOrId, ...wait }, { client, signal, onProgress }) => {
    const vm = await client.vms.start(nameOrId, { ...toWait(wait), signal, onProgress });
    return { structured: toVmState(vm), vm: vm.name, facts: [vm.state] };
  },
});

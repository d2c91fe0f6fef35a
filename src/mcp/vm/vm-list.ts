import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeVm, toVmView, vmViewSchema } from "./vm-view.ts";

export const vmList = defineTool({
  name: "vm_list",
  title: "List VMs",
  description: "Lists all firebreak VMs of this user with state, image and size. Other tools take a VM's name as 'vm'.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ vms: z.array(vmViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const vms = await client.vms.list({ signal });
    return {
      structured: { vms: vms.map(toVmView) },
      facts: [`${vms.length} VM${vms.length === 1 ? "" : "s"}`],
      text: vms.length === 0 ? "There is no VM yet; vm_create makes one." : vms.map(describeVm).join("\n"),
    };
  },
});

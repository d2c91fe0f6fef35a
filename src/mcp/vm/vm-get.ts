import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeVm, toVmView, vmViewSchema } from "./vm-view.ts";

export const vmGet = defineTool({
  name: "vm_get",
  title: "Show a VM",
  description: "Shows one VM: state, image, size, accelerator, and why it crashed when it did.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: vmViewSchema,
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const vm = await client.vms.get(nameOrId, { signal });
    return { structured: toVmView(vm), vm: vm.name, facts: [vm.state], text: describeVm(vm) };
  },
});

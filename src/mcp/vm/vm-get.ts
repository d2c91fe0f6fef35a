import { z } from "zod";
import { describeForward } from "../forward/forward-view.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeVm, toVmView, vmViewSchema } from "./vm-view.ts";

export const vmGet = defineTool({
  name: "vm_get",
  title: "Show a VM",
  description: "Shows one VM: state, image, size, accelerator, forwards, and why it crashed when it did.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: vmViewSchema.extend({ forwards: z.array(z.string()).optional() }),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const vm = await client.vms.get(nameOrId, { signal });
    const forwards = await client.forwards.list(vm.id, { signal });
    const structured = {
      ...toVmView(vm),
      ...(forwards.length === 0 ? {} : { forwards: forwards.map(describeForward) }),
    };
    const text = [describeVm(vm), ...forwards.map(describeForward)].join("\n");
    return { structured, vm: vm.name, facts: [vm.state], text };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeKernel, kernelViewSchema, toKernelView } from "./kernel-view.ts";

export const kernelList = defineTool({
  name: "kernel_list",
  title: "List kernels",
  description: "Lists the kernels that VMs can boot with, and which one new VMs get.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ kernels: z.array(kernelViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const kernels = await client.kernels.list({ signal });
    return {
      structured: { kernels: kernels.map(toKernelView) },
      facts: [`${kernels.length} kernel${kernels.length === 1 ? "" : "s"}`],
      text: kernels.map(describeKernel).join("\n"),
    };
  },
});

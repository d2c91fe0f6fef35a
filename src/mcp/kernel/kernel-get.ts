import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeKernel, kernelArgument, kernelViewSchema, toKernelView } from "./kernel-view.ts";

export const kernelGet = defineTool({
  name: "kernel_get",
  title: "Show a kernel",
  description: "Shows one kernel: its release, where it comes from, and whether new VMs get it.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ kernel: kernelArgument }),
  outputSchema: kernelViewSchema,
  handler: async (args, { client, signal }) => {
    const kernel = await client.kernels.get(args.kernel, { signal });
    return { structured: toKernelView(kernel), facts: [`kernel ${kernel.id}`], text: describeKernel(kernel) };
  },
});

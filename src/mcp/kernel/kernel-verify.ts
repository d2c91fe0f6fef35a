import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeKernel, kernelArgument, kernelViewSchema, toKernelView } from "./kernel-view.ts";

export const kernelVerify = defineTool({
  name: "kernel_verify",
  title: "Verify a kernel",
  description: "Reads every file of a kernel and compares its digest; it is an error when one has changed.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({ kernel: kernelArgument.default("current") }),
  outputSchema: kernelViewSchema,
  handler: async (args, { client, signal }) => {
    const kernel = await client.kernels.verify(args.kernel, { signal });
    return {
      structured: toKernelView(kernel),
      facts: [`kernel ${kernel.id}`, "as it should be"],
      text: describeKernel(kernel),
    };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeKernel, kernelArgument, kernelViewSchema, toKernelView } from "./kernel-view.ts";

export const kernelUse = defineTool({
  name: "kernel_use",
  title: "Choose the kernel of new VMs",
  description:
    "Gives a kernel to VMs that are created from now on; those that are there keep theirs. The stock kernel is fetched when it is not there. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  isLong: true,
  inputSchema: z.strictObject({ kernel: kernelArgument }),
  outputSchema: kernelViewSchema,
  confirm: async (args, { client, signal }) => {
    const kernels = await client.kernels.list({ signal });
    const current = kernels.find(({ isCurrent }) => isCurrent);
    const isThere = kernels.some(({ id, kind }) => id === args.kernel || kind === args.kernel);
    const fetch = isThere ? [] : ["fetch: get Debian's kernel package, and verify it"];
    return {
      steps: [...fetch, `use: new VMs get ${args.kernel}, and not ${current?.id ?? "the stock kernel"}`],
      state: kernels,
    };
  },
  handler: async (args, { client, signal, onProgress }) => {
    const kernel = await client.kernels.use(args.kernel, { signal, onProgress });
    return {
      structured: toKernelView(kernel),
      facts: [`kernel ${kernel.id}`, "current"],
      text: describeKernel(kernel),
    };
  },
});

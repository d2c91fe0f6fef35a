import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeKernel, kernelArgument } from "./kernel-view.ts";

export const kernelDelete = defineTool({
  name: "kernel_delete",
  title: "Delete a kernel",
  description: "Deletes a kernel that no VM has and that new ones do not get. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ kernel: kernelArgument }),
  outputSchema: z.strictObject({ kernel: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const kernel = await client.kernels.get(args.kernel, { signal });
    return { steps: [`delete: ${describeKernel(kernel)}`], state: kernel, pinned: { kernel: kernel.id } };
  },
  handler: async (args, { client, signal }) => {
    const { deleted } = await client.kernels.delete(args.kernel, { signal });
    return { structured: { kernel: deleted, deleted: true }, facts: [`kernel ${deleted}`, "deleted"] };
  },
});

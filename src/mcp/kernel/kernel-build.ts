import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeKernel, kernelViewSchema, toKernelView } from "./kernel-view.ts";

export const kernelBuild = defineTool({
  name: "kernel_build",
  title: "Build a kernel",
  description:
    "Builds a small kernel from Debian's signed kernel source, on this machine, which takes minutes of all its CPUs. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  isLong: true,
  inputSchema: z.strictObject({
    force: z.boolean().default(false).describe("Also when it is up to date."),
    use: z.boolean().default(false).describe("Give it to new VMs."),
  }),
  outputSchema: kernelViewSchema.extend({ up_to_date: z.boolean() }),
  confirm: async ({ use }, { client, signal }) => {
    const steps = [
      "fetch: get Debian's kernel source package, and verify its signature",
      "build: compile it on this machine with firebreak's configuration",
      ...(use ? ["use: new VMs get it"] : []),
    ];
    return { steps, state: await client.kernels.list({ signal }) };
  },
  handler: async ({ force, use }, { client, signal, onProgress }) => {
    const { kernel, isUpToDate } = await client.kernels.build({ force, use }, { signal, onProgress });
    return {
      structured: { ...toKernelView(kernel), up_to_date: isUpToDate },
      facts: [`kernel ${kernel.id}`, isUpToDate ? "up to date" : "built"],
      text: describeKernel(kernel),
    };
  },
});

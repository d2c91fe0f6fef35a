import { z } from "zod";
import type { KernelInfo } from "../../contract/daemon.ts";

/** Which kernel a call is about. */
export const kernelArgument = z
  .string()
  .min(1)
  .max(200)
  .describe("Id of the kernel (kernel_list shows them), or stock.");

/** A kernel as tools show it. */
export const kernelViewSchema = z.strictObject({
  kernel: z.string(),
  release: z.string(),
  kind: z.enum(["stock", "built"]),
  current: z.boolean().describe("New VMs get it."),
  size_bytes: z.number(),
  package: z.string(),
  version: z.string(),
  created_at: z.string(),
});

export function toKernelView(kernel: KernelInfo): z.infer<typeof kernelViewSchema> {
  return {
    kernel: kernel.id,
    release: kernel.release,
    kind: kernel.kind,
    current: kernel.isCurrent,
    size_bytes: kernel.sizeBytes,
    package: kernel.package,
    version: kernel.version,
    created_at: kernel.createdAt,
  };
}

/** One line a kernel. */
export function describeKernel(kernel: KernelInfo): string {
  return `${kernel.id}: ${kernel.kind}, ${kernel.release}, ${kernel.sizeBytes} bytes${kernel.isCurrent ? ", current" : ""}`;
}

import { z } from "zod";
import type { Template } from "../../contract/snapshot.ts";

/** Which template a call is about. */
export const templateArgument = z.string().min(1).max(64).describe("Id of the template (template_list shows them).");

/** A template as tools show it. */
export const templateViewSchema = z.strictObject({
  id: z.string(),
  image: z.string(),
  memory_mib: z.int(),
  cpus: z.int(),
  size_bytes: z.number(),
  stale: z.boolean().describe("No VM is forked from it any more."),
});
export type TemplateView = z.infer<typeof templateViewSchema>;

export function toTemplateView(template: Template): TemplateView {
  return {
    id: template.id,
    image: template.image,
    memory_mib: template.memoryMib,
    cpus: template.cpus,
    size_bytes: template.sizeBytes,
    stale: template.isStale,
  };
}

/** One line a template. */
export function describeTemplate(template: Template): string {
  const size = `${template.memoryMib} MiB, ${template.cpus} CPU${template.cpus === 1 ? "" : "s"}`;
  return `${template.id}: image ${template.image}, ${size}, ${template.sizeBytes} bytes${template.isStale ? ", stale" : ""}`;
}

import { z } from "zod";
import type { ImageInfo } from "../../contract/image.ts";

/** How a tool is told an image. */
export const imageArgument = z
  .string()
  .min(1)
  .max(200)
  .describe("Name of the image, its digest, or the beginning of that (at least 8 hex digits).");

/** A name that an image may be given. */
export const imageNameArgument = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,62})?$/,
    "a name is made of a-z, 0-9, '.', '_' and '-'; a ':' and a tag may follow",
  );

/** An image as tools show it. */
export const imageViewSchema = z.strictObject({
  digest: z.string(),
  names: z.array(z.string()),
  size_bytes: z.number(),
  created_at: z.string(),
  made_by: z.string().describe("The built-in recipe's name, pull, import or build."),
  source: z
    .strictObject({ reference: z.string(), digest: z.string() })
    .optional()
    .describe("Where it was pulled from, and the digest that it had there."),
  command: z.array(z.string()).describe("What it runs by itself."),
  used_by: z.array(z.strictObject({ kind: z.string(), name: z.string() })),
});
export type ImageView = z.infer<typeof imageViewSchema>;

export function toImageView(image: ImageInfo): ImageView {
  return {
    digest: image.digest,
    names: image.tags,
    size_bytes: image.sizeBytes,
    created_at: image.createdAt,
    made_by: image.recipe,
    ...(image.source === undefined ? {} : { source: image.source }),
    command: [...image.config.entrypoint, ...image.config.cmd],
    used_by: image.usedBy.map(({ kind, name }) => ({ kind, name })),
  };
}

/** One line an image. */
export function describeImage(image: ImageInfo): string {
  const names = image.tags.join(", ") || "(no name)";
  const users = image.usedBy.map(({ kind, name }) => `${kind} ${name}`).join(", ");
  const from = image.source === undefined ? image.recipe : `pulled from ${image.source.reference}`;
  return `${names}: ${image.digest}, ${image.sizeBytes} bytes, ${from}${users === "" ? "" : `, used by ${users}`}`;
}

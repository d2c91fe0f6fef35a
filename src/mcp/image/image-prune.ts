import { z } from "zod";
import { defineTool } from "../tool.ts";

export const imagePrune = defineTool({
  name: "image_prune",
  title: "Prune images",
  description:
    "Deletes images to free disk space: those without a name that no VM or snapshot needs, with `all` also those with one. Their templates go with them. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    all: z.boolean().default(false).describe("Also those that have a name."),
  }),
  outputSchema: z.strictObject({
    deleted: z.array(z.strictObject({ digest: z.string(), names: z.array(z.string()) })),
    freed_bytes: z.number(),
  }),
  confirm: async ({ all }, { client, signal }) => {
    const { images } = await client.images.prune({ all, dryRun: true }, { signal });
    return { steps: images.map((image) => `delete: ${nameImage(image)}`), state: images };
  },
  handler: async ({ all }, { client, signal }) => {
    const { images, freedBytes } = await client.images.prune({ all, dryRun: false }, { signal });
    return {
      structured: {
        deleted: images.map(({ digest, tags }) => ({ digest, names: tags })),
        freed_bytes: freedBytes,
      },
      facts: [`${images.length} image${images.length === 1 ? "" : "s"} deleted`, `${freedBytes} bytes freed`],
      text: images.map(nameImage).join("\n"),
    };
  },
});

function nameImage({ digest, tags }: { digest: string; tags: string[] }): string {
  return `${digest} ${tags.join(", ")}`.trimEnd();
}

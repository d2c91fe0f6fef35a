import { z } from "zod";
import { defineTool } from "../tool.ts";

export const imagePrune = defineTool({
  name: "image_prune",
  title: "Prune images",
  description:
    "Deletes images to free disk space: those without a name that no VM or snapshot needs, with `all` also those with one. Their templates go with them.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    all: z.boolean().default(false).describe("Also those that have a name."),
    dry_run: z.boolean().default(false).describe("Only say what would be deleted."),
  }),
  outputSchema: z.strictObject({
    deleted: z.array(z.strictObject({ digest: z.string(), names: z.array(z.string()) })),
    freed_bytes: z.number(),
    dry_run: z.boolean(),
  }),
  handler: async ({ all, dry_run: dryRun }, { client, signal }) => {
    const { images, freedBytes } = await client.imagePrune({ all, dryRun }, { signal });
    const would = dryRun ? " would be" : "";
    return {
      structured: {
        deleted: images.map(({ digest, tags }) => ({ digest, names: tags })),
        freed_bytes: freedBytes,
        dry_run: dryRun,
      },
      facts: [
        `${images.length} image${images.length === 1 ? "" : "s"}${would} deleted`,
        `${freedBytes} bytes${would} freed`,
      ],
      text: images.map(({ digest, tags }) => `${digest} ${tags.join(", ")}`.trimEnd()).join("\n"),
    };
  },
});

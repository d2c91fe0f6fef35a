import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageViewSchema, toImageView } from "./image-view.ts";

export const imageList = defineTool({
  name: "image_list",
  title: "List images",
  description: "Lists the images that VMs can be made from, the newest first, with their names and what uses them.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ images: z.array(imageViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const images = await client.images.list({ signal });
    return {
      structured: { images: images.map(toImageView) },
      facts: [`${images.length} image${images.length === 1 ? "" : "s"}`],
      text:
        images.length === 0
          ? "There is no image yet; the first VM builds the default one, image_pull gets others."
          : images.map(describeImage).join("\n"),
    };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageViewSchema, toImageView } from "./image-view.ts";

const NONE = "There is no image yet; the first VM builds the default one, image_pull gets others.";

export const imageList = defineTool({
  name: "image_list",
  title: "List images",
  description: "Lists the images that VMs can be made from, the newest first, with their names and what uses them.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({
    images: z.array(imageViewSchema),
    making: z.array(z.string()).optional().describe("Names of images that are being built or fetched."),
  }),
  handler: async (_args, { client, signal }) => {
    const { images, making } = await client.images.listing({ signal });
    return {
      structured: { images: images.map(toImageView), ...(making.length === 0 ? {} : { making }) },
      facts: [`${images.length} image${images.length === 1 ? "" : "s"}`],
      text: [
        ...making.map((name) => `${name}: being made, and not there yet`),
        ...images.map(describeImage),
        ...(images.length + making.length === 0 ? [NONE] : []),
      ].join("\n"),
    };
  },
});

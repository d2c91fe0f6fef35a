import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageNameArgument, imageViewSchema, toImageView } from "./image-view.ts";

export const imageUntag = defineTool({
  name: "image_untag",
  title: "Take a name from an image",
  description: "Takes a name from its image. The image stays; image_prune deletes those that have none.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  inputSchema: z.strictObject({ name: imageNameArgument.describe("The name.") }),
  outputSchema: imageViewSchema,
  handler: async ({ name }, { client, signal }) => {
    const image = await client.images.untag(name, { signal });
    return { structured: toImageView(image), facts: [`${name} is free`], text: describeImage(image) };
  },
});

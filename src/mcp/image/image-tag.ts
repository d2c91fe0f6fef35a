import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageArgument, imageNameArgument, imageViewSchema, toImageView } from "./image-view.ts";

export const imageTag = defineTool({
  name: "image_tag",
  title: "Name an image",
  description: "Gives an image one more name. A name that another image has is taken from it.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ image: imageArgument, name: imageNameArgument.describe("The new name.") }),
  outputSchema: imageViewSchema,
  handler: async (args, { client, signal }) => {
    const image = await client.images.tag(args.image, args.name, { signal });
    return { structured: toImageView(image), facts: [`image ${args.name}`], text: describeImage(image) };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageArgument, imageViewSchema, toImageView } from "./image-view.ts";

export const imageGet = defineTool({
  name: "image_get",
  title: "Show an image",
  description:
    "Shows one image: where it is from, how it is to be used, and which VMs, snapshots and templates need it.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ image: imageArgument }),
  outputSchema: imageViewSchema.extend({
    env: z.record(z.string(), z.string()),
    working_dir: z.string().optional(),
    user: z.string().optional(),
  }),
  handler: async (args, { client, signal }) => {
    const image = await client.images.get(args.image, { signal });
    const { workingDir, user } = image.config;
    return {
      structured: {
        ...toImageView(image),
        env: image.env,
        ...(workingDir === undefined ? {} : { working_dir: workingDir }),
        ...(user === undefined ? {} : { user }),
      },
      facts: [`image ${image.name}`],
      text: describeImage(image),
    };
  },
});

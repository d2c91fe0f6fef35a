import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageViewSchema, toImageView } from "./image-view.ts";

export const imageBuild = defineTool({
  name: "image_build",
  title: "Build a built-in image",
  description:
    "Builds an image that firebreak has a recipe for (debian) from its distribution's signed packages, which takes minutes. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  isLong: true,
  inputSchema: z.strictObject({
    image: z.string().min(1).max(200).describe("Name of the recipe, such as debian."),
    force: z.boolean().default(false).describe("Also when it is up to date."),
  }),
  outputSchema: imageViewSchema.extend({ up_to_date: z.boolean() }),
  confirm: async ({ image }, { client, signal }) => {
    const known = (await client.images.list({ signal })).find(({ name }) => name === image);
    const replaced = known === undefined ? "" : `; new VMs get it in place of ${known.digest}`;
    return {
      steps: [`fetch: get the packages of '${image}' over the network`, `build: make the image of them${replaced}`],
      state: known ?? null,
    };
  },
  handler: async ({ image: name, force }, { client, signal, onProgress }) => {
    const { image, isUpToDate } = await client.images.build(name, force, { signal, onProgress });
    return {
      structured: { ...toImageView(image), up_to_date: isUpToDate },
      facts: [`image ${image.name}`, isUpToDate ? "up to date" : "built"],
      text: describeImage(image),
    };
  },
});

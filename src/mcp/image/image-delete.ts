import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeImage, imageArgument } from "./image-view.ts";

export const imageDelete = defineTool({
  name: "image_delete",
  title: "Delete an image",
  description:
    "Deletes an image with all its names; there is no way back. Refused while a VM or a snapshot needs it, and while a template does unless `force` gives that up. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    image: imageArgument,
    force: z.boolean().default(false).describe("Delete its templates, too; they are made anew when they are needed."),
  }),
  outputSchema: z.strictObject({
    image: z.string(),
    digest: z.string(),
    names: z.array(z.string()),
    templates: z.array(z.string()),
    freed_bytes: z.number(),
  }),
  confirm: async ({ image: nameOrDigest }, { client, signal }) => {
    const image = await client.images.get(nameOrDigest, { signal });
    return { steps: [`delete: ${describeImage(image)}`], state: image, pinned: { image: image.digest } };
  },
  handler: async ({ image, force }, { client, signal }) => {
    const { deleted, digest, tags, templates, freedBytes } = await client.images.delete(image, force, { signal });
    return {
      structured: { image: deleted, digest, names: tags, templates, freed_bytes: freedBytes },
      facts: [`image ${deleted}`, "deleted", `${freedBytes} bytes freed`],
    };
  },
});

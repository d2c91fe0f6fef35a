import { z } from "zod";
import { platformSchema } from "../../contract/image.ts";
import { defaultImageName, parseImageReference } from "../../contract/image-reference.ts";
import { defineTool } from "../tool.ts";
import { describeImage, imageNameArgument, imageViewSchema, toImageView } from "./image-view.ts";

export const imagePull = defineTool({
  name: "image_pull",
  title: "Pull an image",
  description:
    "Gets a container image from a registry, without a login, and makes it one that VMs can be made from. Nothing of it is run. The digest that it had in the registry is in the result. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  isLong: true,
  inputSchema: z.strictObject({
    reference: z
      .string()
      .min(1)
      .max(600)
      .describe("Such as python:3.13-slim, ghcr.io/owner/image:tag, or with @sha256:… to pin it."),
    name: imageNameArgument.optional().describe("Its name here; the reference's last part when absent."),
    platform: platformSchema.optional().describe("OS/ARCHITECTURE (default: linux/amd64)."),
  }),
  outputSchema: imageViewSchema.extend({ up_to_date: z.boolean(), warnings: z.array(z.string()) }),
  confirm: async ({ reference, name, platform }, { client, signal }) => {
    const itsName = name ?? defaultImageName(parseImageReference(reference));
    const known = (await client.images.list({ signal })).find(({ tags }) => tags.includes(itsName));
    const replaced = known === undefined ? "" : `; '${itsName}' stands for ${known.digest} until then`;
    const steps = [
      `pull: get ${reference}${platform === undefined ? "" : ` for ${platform}`} from its registry, over the network`,
      `store: unpack it, without running any of it, as an image of this host${replaced}`,
    ];
    return { steps, state: known ?? null };
  },
  handler: async ({ reference, name, platform }, { client, signal, onProgress }) => {
    const request = {
      reference,
      ...(name === undefined ? {} : { name }),
      ...(platform === undefined ? {} : { platform }),
    };
    const { image, isUpToDate, warnings } = await client.images.pull(request, undefined, { signal, onProgress });
    return {
      structured: { ...toImageView(image), up_to_date: isUpToDate, warnings },
      facts: [`image ${image.name}`, isUpToDate ? "up to date" : "pulled"],
      text: [describeImage(image), ...warnings].join("\n"),
    };
  },
});

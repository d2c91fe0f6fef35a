import { z } from "zod";
import { parsePushReference } from "../../contract/image-reference.ts";
import { defineTool } from "../tool.ts";
import { describeImage, imageArgument } from "./image-view.ts";

export const imagePush = defineTool({
  name: "image_push",
  title: "Push an image",
  description:
    "Publishes an image in a registry, without a login: whoever may read there gets all files of the image. An OCI image of one layer, with command, environment and user. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  isLong: true,
  inputSchema: z.strictObject({
    image: imageArgument,
    reference: z
      .string()
      .min(1)
      .max(600)
      .describe(
        "REGISTRY/REPOSITORY[:TAG], such as localhost:5000/team/app:1. An image that has the tag there loses it.",
      ),
    tls_verify: z.boolean().default(true).describe("False for a registry on this host that has no TLS."),
  }),
  outputSchema: z.strictObject({
    image: z.string().describe("Its digest here."),
    reference: z.string(),
    digest: z.string().describe("Of its manifest, by which the registry knows it."),
    layer_bytes: z.number(),
  }),
  confirm: async ({ image: nameOrDigest, reference, tls_verify }, { client, signal }) => {
    const { registry } = parsePushReference(reference);
    const image = await client.images.get(nameOrDigest, { signal });
    const how = tls_verify ? "" : ", without TLS";
    const steps = [
      `pack: ${describeImage(image)}, as one layer`,
      `send: publish it at ${registry}${how}, as ${reference}; what has that tag there loses it`,
    ];
    return { steps, state: image.digest, pinned: { image: image.digest } };
  },
  handler: async ({ image, reference, tls_verify }, { client, signal, onProgress }) => {
    const request = { reference, tlsVerify: tls_verify };
    const pushed = await client.images.push(image, request, undefined, { signal, onProgress });
    return {
      structured: {
        image: pushed.image.digest,
        reference: pushed.reference,
        digest: pushed.digest,
        layer_bytes: pushed.layerBytes,
      },
      facts: [`image ${pushed.image.name}`, "pushed", `${pushed.layerBytes} bytes`],
      text: `${pushed.reference} is ${pushed.digest}`,
    };
  },
});

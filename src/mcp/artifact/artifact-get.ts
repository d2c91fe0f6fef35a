import { z } from "zod";
import { pageArguments, pageFields, readPage } from "../paged-content.ts";
import { defineTool } from "../tool.ts";
import { artifactArgument, artifactViewSchema, toArtifactView } from "./artifact-view.ts";

export const artifactGet = defineTool({
  name: "artifact_get",
  title: "Read an artifact",
  description:
    "Reads what has been kept of a VM, a page at a time: text as text, PNG, JPEG, GIF and WebP as an image, all else (a directory is a tar) as base64. When the answer has next_offset, call again with that as offset.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  answersImages: true,
  inputSchema: z.strictObject({ artifact: artifactArgument, ...pageArguments }),
  outputSchema: z.strictObject({ ...artifactViewSchema.shape, ...pageFields }),
  handler: async (args, { client, signal }) => {
    const artifact = await client.artifacts.get(args.artifact, { signal });
    const read = (range: { offset: number; length: number }) => client.artifacts.read(artifact.id, range, { signal });
    const { page, facts, ...shown } = await readPage({ sizeBytes: artifact.sizeBytes, read }, args);
    return {
      ...shown,
      structured: { ...toArtifactView(artifact), ...page },
      facts: [`artifact ${artifact.name}`, `${artifact.sizeBytes} bytes`, artifact.mediaType, ...facts],
    };
  },
});

import { z } from "zod";
import type { Artifact } from "../../contract/artifact.ts";

export const artifactArgument = z
  .string()
  .min(1)
  .max(200)
  .describe("Name or id of the artifact (artifact_list shows them).");

/** An artifact as tools show it. */
export const artifactViewSchema = z.strictObject({
  artifact: z.string(),
  id: z.string(),
  kind: z.enum(["file", "directory"]).describe("A directory is kept as a tar."),
  media_type: z.string(),
  size_bytes: z.number(),
  digest: z.string(),
  vm: z.string().describe("The VM that it is of, which may be gone."),
  path: z.string().describe("Where it was in the VM."),
  created_at: z.string(),
});

export function toArtifactView(artifact: Artifact): z.infer<typeof artifactViewSchema> {
  return {
    artifact: artifact.name,
    id: artifact.id,
    kind: artifact.kind,
    media_type: artifact.mediaType,
    size_bytes: artifact.sizeBytes,
    digest: artifact.digest,
    vm: artifact.vm.name,
    path: artifact.path,
    created_at: artifact.createdAt,
  };
}

/** One line an artifact. */
export function describeArtifact({ name, kind, mediaType, sizeBytes, vm, path }: Artifact): string {
  return `${name}: ${kind} ${path} of vm ${vm.name}, ${mediaType}, ${sizeBytes} bytes`;
}

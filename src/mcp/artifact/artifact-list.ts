import { z } from "zod";
import { defineTool } from "../tool.ts";
import { artifactViewSchema, describeArtifact, toArtifactView } from "./artifact-view.ts";

export const artifactList = defineTool({
  name: "artifact_list",
  title: "List artifacts",
  description: "Lists the files and directories that have been kept of VMs, the oldest first.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ artifacts: z.array(artifactViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const artifacts = await client.artifacts.list({ signal });
    return {
      structured: { artifacts: artifacts.map(toArtifactView) },
      facts: [`${artifacts.length} artifact${artifacts.length === 1 ? "" : "s"}`],
      text:
        artifacts.length === 0
          ? "There is no artifact yet; artifact_create keeps a file of a VM."
          : artifacts.map(describeArtifact).join("\n"),
    };
  },
});

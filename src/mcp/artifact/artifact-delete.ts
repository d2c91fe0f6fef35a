import { z } from "zod";
import { defineTool } from "../tool.ts";
import { artifactArgument } from "./artifact-view.ts";

export const artifactDelete = defineTool({
  name: "artifact_delete",
  title: "Delete an artifact",
  description: "Deletes what has been kept of a VM; there is no way back. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ artifact: artifactArgument }),
  outputSchema: z.strictObject({ artifact: z.string(), id: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const artifact = await client.artifacts.get(args.artifact, { signal });
    return {
      steps: [
        `delete: remove the artifact '${artifact.name}' of the VM '${artifact.vm.name}', ${artifact.sizeBytes} bytes`,
      ],
      state: artifact,
      pinned: { artifact: artifact.id },
    };
  },
  handler: async (args, { client, signal }) => {
    const { deleted, id } = await client.artifacts.delete(args.artifact, { signal });
    return { structured: { artifact: deleted, id, deleted: true }, facts: [`artifact ${deleted}`, "deleted"] };
  },
});

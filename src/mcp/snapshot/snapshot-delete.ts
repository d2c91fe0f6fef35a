import { z } from "zod";
import { defineTool } from "../tool.ts";
import { snapshotArgument } from "./snapshot-view.ts";

export const snapshotDelete = defineTool({
  name: "snapshot_delete",
  title: "Delete a snapshot",
  description:
    "Deletes a snapshot; there is no way back. VMs that came from it are not touched. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ snapshot: snapshotArgument }),
  outputSchema: z.strictObject({ snapshot: z.string(), id: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const snapshot = await client.snapshots.get(args.snapshot, { signal });
    return {
      steps: [
        `delete: remove the snapshot '${snapshot.name}' of the VM '${snapshot.vm.name}', ${snapshot.sizeBytes} bytes`,
      ],
      state: snapshot,
      pinned: { snapshot: snapshot.id },
    };
  },
  handler: async (args, { client, signal }) => {
    const { deleted, id } = await client.snapshots.delete(args.snapshot, { signal });
    return { structured: { snapshot: deleted, id, deleted: true }, facts: [`snapshot ${deleted}`, "deleted"] };
  },
});

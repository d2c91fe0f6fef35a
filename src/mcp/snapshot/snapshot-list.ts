import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeSnapshot, snapshotViewSchema, toSnapshotView } from "./snapshot-view.ts";

export const snapshotList = defineTool({
  name: "snapshot_list",
  title: "List snapshots",
  description: "Lists all snapshots of this user with the VM that each is of, the oldest first.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ snapshots: z.array(snapshotViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const snapshots = await client.snapshots.list({ signal });
    return {
      structured: { snapshots: snapshots.map(toSnapshotView) },
      facts: [`${snapshots.length} snapshot${snapshots.length === 1 ? "" : "s"}`],
      text:
        snapshots.length === 0
          ? "There is no snapshot yet; snapshot_create takes one."
          : snapshots.map(describeSnapshot).join("\n"),
    };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeSnapshot, snapshotArgument, snapshotViewSchema, toSnapshotView } from "./snapshot-view.ts";

export const snapshotGet = defineTool({
  name: "snapshot_get",
  title: "Show a snapshot",
  description: "Shows one snapshot: the VM it is of, its size, and the snapshots that it descends from.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ snapshot: snapshotArgument }),
  outputSchema: z.strictObject({
    ...snapshotViewSchema.shape,
    ancestors: z.array(z.string()).describe("Names of those it descends from, the nearest first."),
  }),
  handler: async (args, { client, signal }) => {
    const snapshot = await client.snapshots.get(args.snapshot, { signal });
    const ancestors = snapshot.ancestors.map(({ name }) => name);
    return {
      structured: { ...toSnapshotView(snapshot), ancestors },
      facts: [`snapshot ${snapshot.name}`],
      text: [describeSnapshot(snapshot), ...ancestors.map((name) => `descends from ${name}`)].join("\n"),
    };
  },
});

import { z } from "zod";
import { nameSchema } from "../../contract/vm.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeSnapshot, snapshotViewSchema, toSnapshotView } from "./snapshot-view.ts";

export const snapshotCreate = defineTool({
  name: "snapshot_create",
  title: "Snapshot a VM",
  description:
    "Saves a running or paused VM as it is now: files, memory and processes. The VM stands still for a moment and goes on. Take one before something that may go wrong; snapshot_restore brings it back, snapshot_fork makes new VMs of it.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    name: nameSchema.optional().describe("Name of the snapshot: a-z, 0-9 and '-'; made up when absent."),
  }),
  outputSchema: snapshotViewSchema,
  handler: async (args, { client, signal, onProgress }) => {
    const snapshot = await client.snapshots.create(args.vm, args.name, { signal, onProgress });
    return {
      structured: toSnapshotView(snapshot),
      vm: snapshot.vm.name,
      facts: [`snapshot ${snapshot.name}`, `stood still for ${snapshot.stoppedMs} ms`],
      text: describeSnapshot(snapshot),
    };
  },
});

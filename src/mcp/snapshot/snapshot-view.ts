import { z } from "zod";
import type { Snapshot } from "../../contract/snapshot.ts";

/** Which snapshot a call is about. */
export const snapshotArgument = z
  .string()
  .min(1)
  .max(200)
  .describe("Name or id of the snapshot (snapshot_list shows them).");

/** A snapshot as tools show it. */
export const snapshotViewSchema = z.strictObject({
  snapshot: z.string(),
  id: z.string(),
  vm: z.string(),
  created_at: z.string(),
  memory_mib: z.int(),
  disk_mib: z.int(),
  size_bytes: z.number().describe("On the disk of this machine."),
  stopped_ms: z.number().describe("How long the VM stood still for it."),
});
export type SnapshotView = z.infer<typeof snapshotViewSchema>;

export function toSnapshotView(snapshot: Snapshot): SnapshotView {
  return {
    snapshot: snapshot.name,
    id: snapshot.id,
    vm: snapshot.vm.name,
    created_at: snapshot.createdAt,
    memory_mib: snapshot.memoryMib,
    disk_mib: snapshot.diskMib,
    size_bytes: snapshot.sizeBytes,
    stopped_ms: snapshot.stoppedMs,
  };
}

/** One line a snapshot. */
export function describeSnapshot(snapshot: Snapshot): string {
  const size = `${snapshot.memoryMib} MiB, disk ${snapshot.diskMib} MiB`;
  return `${snapshot.name}: of vm ${snapshot.vm.name}, ${snapshot.createdAt}, image ${snapshot.image}, ${size}, ${snapshot.sizeBytes} bytes`;
}

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeVm, toVmState, vmStateSchema } from "../vm/vm-view.ts";
import { snapshotArgument } from "./snapshot-view.ts";

export const snapshotRestore = defineTool({
  name: "snapshot_restore",
  title: "Restore a snapshot",
  description:
    "Brings the VM that a snapshot was taken of back as it was then, with its files, memory and processes. What the VM is now is lost; snapshot_fork makes a new VM instead. A deleted VM is made again. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ snapshot: snapshotArgument }),
  outputSchema: vmStateSchema,
  confirm: async (args, { client, signal }) => {
    const snapshot = await client.snapshots.get(args.snapshot, { signal });
    const steps = [
      `end_vmm: end the VM '${snapshot.vm.name}' as it is now, if there is one; what it is now is lost`,
      "copy_drive: give it the snapshot's disk",
      "restore_vmm: bring up the saved machine",
    ];
    return { steps, state: snapshot, pinned: { snapshot: snapshot.id }, vm: snapshot.vm.name };
  },
  handler: async (args, { client, signal, onProgress }) => {
    const vm = await client.snapshots.restore(args.snapshot, { signal, onProgress });
    return { structured: toVmState(vm), vm: vm.name, facts: ["restored", vm.state], text: describeVm(vm) };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeVm, toVmState, vmStateSchema } from "../vm/vm-view.ts";
import { forkArguments, toFork } from "./fork-arguments.ts";
import { snapshotArgument } from "./snapshot-view.ts";

export const snapshotFork = defineTool({
  name: "snapshot_fork",
  title: "Fork a snapshot",
  description:
    "Makes a new VM that goes on where a snapshot stands, with its files, memory and processes, but its own name and identity. A snapshot can be forked any number of times.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({ snapshot: snapshotArgument, ...forkArguments }),
  outputSchema: vmStateSchema,
  handler: async (args, { client, signal, onProgress }) => {
    const vm = await client.snapshots.fork(args.snapshot, toFork(args), { signal, onProgress });
    return { structured: toVmState(vm), vm: vm.name, facts: ["forked", vm.state], text: describeVm(vm) };
  },
});

import { z } from "zod";
import { forkArguments, toFork } from "../snapshot/fork-arguments.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeVm, toVmState, vmStateSchema } from "./vm-view.ts";

export const vmFork = defineTool({
  name: "vm_fork",
  title: "Fork a VM",
  description:
    "Makes a second VM that goes on where a running or paused VM stands, with the same files, memory and processes, but its own name and identity. Both go on apart: to try several ways from one state, fork once for each.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({ vm: vmArgument, ...forkArguments }),
  outputSchema: vmStateSchema,
  handler: async (args, { client, signal, onProgress }) => {
    const vm = await client.vms.fork(args.vm, toFork(args), { signal, onProgress });
    return { structured: toVmState(vm), vm: vm.name, facts: ["forked", vm.state], text: describeVm(vm) };
  },
});

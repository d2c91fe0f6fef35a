import { z } from "zod";
import { VM_STATES } from "../../contract/vm.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

const states = [...VM_STATES, "deleted"] as const;
const DEFAULT_WAIT_MS = 60_000;

export const vmWait = defineTool({
  name: "vm_wait",
  title: "Wait for a VM",
  description:
    "Waits until a VM is in one of some states, or deleted: for the end of one that is to stop by itself, for instance.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    for: z.array(z.enum(states)).min(1).max(states.length).describe("States to wait for; any of them will do."),
    timeout_ms: z.int().min(1).max(86_400_000).default(DEFAULT_WAIT_MS).describe("Give up after this time."),
  }),
  outputSchema: z.strictObject({ vm: z.string(), state: z.string(), reason: z.string().optional() }),
  handler: async (args, { client, signal, onProgress }) => {
    const request = { for: args.for, timeoutMs: args.timeout_ms };
    const { state, vm } = await client.vms.wait(args.vm, request, { signal, onProgress });
    const name = vm?.name ?? args.vm;
    const reason = vm?.reason === undefined ? {} : { reason: vm.reason };
    return { structured: { vm: name, state, ...reason }, vm: name, facts: [state] };
  },
});

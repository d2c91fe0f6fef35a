import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeExec, execArgument, execViewSchema, toExecView } from "./exec-argument.ts";
import { resolveVm } from "./resolve-vm.ts";

export const commandStatus = defineTool({
  name: "command_status",
  title: "Show a command in a VM",
  description: "Tells whether a command in a VM still runs, how it ended, and how much it has written.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument, exec_id: execArgument }),
  outputSchema: execViewSchema.extend({ vm: z.string() }),
  handler: async (args, context) => {
    const vm = await resolveVm(args.vm, context);
    const exec = await context.client.execs.get(vm, args.exec_id, { signal: context.signal });
    const view = toExecView(exec);
    return { structured: { vm, ...view }, vm, facts: [view.state], text: describeExec(exec) };
  },
});

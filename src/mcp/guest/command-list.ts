import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeExec, execViewSchema, toExecView } from "./exec-argument.ts";
import { resolveVm } from "./resolve-vm.ts";

export const commandList = defineTool({
  name: "command_list",
  title: "List commands in a VM",
  description:
    "Lists the commands that run or have run in a VM since its start, the oldest first; the VM keeps the last 64 that have ended.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: z.strictObject({ vm: z.string(), commands: z.array(execViewSchema) }),
  handler: async (args, context) => {
    const vm = await resolveVm(args.vm, context);
    const execs = await context.client.execs.list(vm, { signal: context.signal });
    const running = execs.filter(({ state }) => state === "running").length;
    return {
      structured: { vm, commands: execs.map(toExecView) },
      vm,
      facts: [`${execs.length} command${execs.length === 1 ? "" : "s"}`, `${running} running`],
      text: execs.map(describeExec).join("\n"),
    };
  },
});

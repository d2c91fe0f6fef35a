import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { execArgument } from "./exec-argument.ts";
import { resolveVm } from "./resolve-vm.ts";

export const commandKill = defineTool({
  name: "command_kill",
  title: "End a command in a VM",
  description:
    "Ends a command with its process group: SIGTERM, then SIGKILL after grace_ms. With signal, only that signal is sent, such as SIGINT or SIGHUP. One that has ended is left as it is.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument,
    exec_id: execArgument,
    signal: z
      .string()
      .regex(/^SIG[A-Z0-9]{1,10}$/, "a signal is named like SIGINT")
      .optional()
      .describe("Send only this signal."),
    grace_ms: z.int().min(0).max(60_000).default(2_000).describe("Between SIGTERM and SIGKILL."),
  }),
  outputSchema: z.strictObject({ vm: z.string(), exec_id: z.string(), sent: z.string() }),
  handler: async (args, context) => {
    const { client, signal: abort } = context;
    const vm = await resolveVm(args.vm, context);
    const { exec_id, signal, grace_ms } = args;
    if (signal === undefined) await client.execs.kill(vm, exec_id, grace_ms, { signal: abort });
    else await client.execs.signal(vm, exec_id, signal, { signal: abort }).catch(unlessEnded);
    const sent = signal ?? "SIGTERM";
    return { structured: { vm, exec_id, sent }, vm, facts: [`exec ${exec_id}`, `${sent} sent`] };
  },
});

function unlessEnded(error: unknown): void {
  if (!(error instanceof FirebreakError) || error.code !== "EXEC_STATE_CONFLICT") throw error;
}

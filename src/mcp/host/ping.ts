import { z } from "zod";
import { defineTool } from "../tool.ts";

export const ping = defineTool({
  name: "ping",
  title: "Ask whether firebreak answers",
  description:
    "Asks whether firebreak's daemon answers, starts it if there is none, and tells its version and how many VMs it has.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ version: z.string(), started_at: z.string(), vms: z.int(), running: z.int() }),
  handler: async (_args, { client, signal }) => {
    const { version, startedAt, vms } = await client.status({ signal });
    return {
      structured: { version, started_at: startedAt, vms: vms.total, running: vms.running },
      facts: [`version ${version}`, `${vms.total} VM${vms.total === 1 ? "" : "s"}`, `${vms.running} running`],
    };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const eventList = defineTool({
  name: "event_list",
  title: "List events",
  description:
    "Reads what has happened to VMs (created, started, crashed, restored …), the newest, the oldest of them first; with after_index what came after, call again with next_index for more.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument.optional().describe("Only of this VM (name or id)."),
    after_index: z.int().min(0).optional().describe("Only what came after; next_index of the answer before."),
    limit: z.int().min(1).max(1000).default(100).describe("Most events to read."),
  }),
  outputSchema: z.strictObject({
    events: z.array(
      z.strictObject({
        index: z.int(),
        at: z.string(),
        vm: z.string(),
        kind: z.string(),
        data: z.record(z.string(), z.unknown()),
      }),
    ),
    next_index: z.int(),
    more: z.boolean(),
  }),
  handler: async ({ vm, after_index: after, limit }, { client, signal }) => {
    const page = await client.events.list({ vm, after, limit }, { signal });
    const events = page.events.map(({ id, at, vm: name, kind, data }) => ({ index: id, at, vm: name, kind, data }));
    return {
      structured: { events, next_index: events.at(-1)?.index ?? after ?? 0, more: page.more },
      facts: [`${events.length} event${events.length === 1 ? "" : "s"}`, ...(page.more ? ["there are more"] : [])],
      text: events.map(({ at, vm: name, kind, data }) => `${at} ${name} ${kind} ${JSON.stringify(data)}`).join("\n"),
    };
  },
});

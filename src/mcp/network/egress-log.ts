import { z } from "zod";
import { EGRESS_PROTOCOLS, EGRESS_VERDICTS } from "../../contract/egress.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const egressLog = defineTool({
  name: "egress_log",
  title: "List tries to get out",
  description:
    "Reads what VMs have tried to reach over the network, and whether it was allowed or why not, the newest last; call again with next_index for what comes after.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument.optional().describe("Only of this VM (name or id)."),
    after_index: z.int().min(0).optional().describe("Only what came after; next_index of the answer before."),
    limit: z.int().min(1).max(1000).default(50).describe("Most events to read."),
  }),
  outputSchema: z.strictObject({
    events: z.array(
      z.strictObject({
        index: z.int(),
        at: z.string(),
        vm: z.string(),
        verdict: z.enum(EGRESS_VERDICTS),
        protocol: z.enum(EGRESS_PROTOCOLS),
        name: z.string().optional(),
        port: z.int().optional(),
        address: z.string().optional(),
        rule: z.string().optional(),
        why: z.string().optional(),
        count: z.int(),
      }),
    ),
    next_index: z.int(),
    more: z.boolean(),
  }),
  handler: async ({ vm, after_index: after, limit }, { client, signal }) => {
    const page = await client.egress.list({ vm, after, limit }, { signal });
    const events = page.events.map(
      ({
        id,
        vm: { name: vmName },
        state: _state,
        sentBytes: _sent,
        receivedBytes: _received,
        durationMs: _ms,
        ...event
      }) => ({
        index: id,
        ...event,
        vm: vmName,
      }),
    );
    return {
      structured: { events, next_index: events.at(-1)?.index ?? after ?? 0, more: page.more },
      facts: [`${events.length} tr${events.length === 1 ? "y" : "ies"}`, ...(page.more ? ["there are more"] : [])],
      text: events
        .map(({ at, vm: vmName, verdict, protocol, name, address, port, why }) =>
          [
            at,
            vmName,
            verdict,
            protocol,
            `${name ?? address ?? ""}${port === undefined ? "" : `:${port}`}`,
            why ?? "",
          ].join(" "),
        )
        .join("\n"),
    };
  },
});

import { z } from "zod";
import { AUDIT_VERDICTS, type AuditEntry } from "../../contract/audit.ts";
import { defineTool } from "../tool.ts";

const rowSchema = z.strictObject({
  index: z.int(),
  at: z.string(),
  client: z.string().optional(),
  server: z.string().optional(),
  what: z.string(),
  verdict: z.string().optional(),
  code: z.string().optional(),
  duration_ms: z.number().optional(),
});
type Row = z.infer<typeof rowSchema>;

export const auditList = defineTool({
  name: "audit_list",
  title: "List recorded calls",
  description:
    "Reads which calls of MCP servers' tools were made, by whom and how they ended, the newest; with after_index those after one, the oldest first.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    server: z.string().max(256).optional().describe("Only of this MCP server; firebreak's own tools are 'firebreak'."),
    client: z.string().max(256).optional().describe("Only of this principal (API key, or local) or client."),
    verdict: z.enum(AUDIT_VERDICTS).optional().describe("Only those that ended so."),
    since: z.string().max(64).optional().describe("From this time on, such as 2026-01-31T12:00:00Z."),
    after_index: z.int().min(0).optional().describe("Only what came after; next_index of the answer before."),
    limit: z.int().min(1).max(1000).default(50).describe("Most entries to read."),
  }),
  outputSchema: z.strictObject({
    entries: z.array(rowSchema),
    next_index: z.int(),
    more: z.boolean(),
  }),
  handler: async ({ after_index: after, ...filter }, { client, signal }) => {
    const page = await client.audit.list({ ...filter, after }, { signal });
    const entries = page.entries.map(toRow);
    return {
      structured: { entries, next_index: entries.at(-1)?.index ?? after ?? 0, more: page.more },
      facts: [
        `${entries.length} ${entries.length === 1 ? "entry" : "entries"}`,
        ...(page.more ? ["there are more"] : []),
      ],
      text: entries
        .map(({ at, client: who, server, what, verdict, code, duration_ms }) =>
          [at, who, server, what, verdict, code, duration_ms === undefined ? undefined : `${duration_ms} ms`]
            .filter((word) => word !== undefined)
            .join(" "),
        )
        .join("\n"),
    };
  },
});

function toRow(entry: AuditEntry): Row {
  const { seq: index, at } = entry;
  if ("note" in entry) return { index, at, what: `note: ${JSON.stringify(entry.note)}` };
  const { client, server, tool, method, verdict, code, durationMs } = entry;
  const who = client.name === undefined ? client.principal : `${client.principal}/${client.name}`;
  return {
    index,
    at,
    client: who,
    server,
    what: tool ?? method ?? "",
    verdict,
    ...(code === undefined ? {} : { code }),
    duration_ms: durationMs,
  };
}

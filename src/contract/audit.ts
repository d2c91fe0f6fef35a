import { z } from "zod";

/** The audit log: an entry for each call of an MCP server's tool or method, and for what has become of the log itself. */

export const AUDIT_VERDICTS = ["ok", "tool_error", "denied", "failed", "canceled"] as const;
export type AuditVerdict = (typeof AUDIT_VERDICTS)[number];

/** The code of a call of a tool that its server does not have, or that is not offered to anybody. */
export const TOOL_NOT_OFFERED = "TOOL_NOT_OFFERED";

const word = z.string().max(256);
const bytes = z.number().int().nonnegative();

const callShape = {
  tool: word.optional().describe("the tool that was called, under its server's own name for it"),
  method: word.optional().describe("the request, where it was none of a tool"),
  vm: word.optional(),
  requestBytes: bytes.describe("of the arguments, as JSON"),
  responseBytes: bytes.describe("of the result, as JSON"),
  durationMs: z.number().nonnegative(),
  verdict: z
    .enum(AUDIT_VERDICTS)
    .describe("`tool_error`: the tool said that it failed; `failed`: there was no answer of a tool's"),
  code: word.optional().describe("of the error"),
  arguments: z
    .unknown()
    .optional()
    .describe("with `[audit] arguments = true` only; values of known secrets are masked"),
};

/** What is recorded of a call. */
export const auditCallSchema = z.object({
  client: z.object({
    principal: word.describe("`local`, or the API key's name"),
    name: word.optional().describe("what the client says that it is"),
    version: word.optional(),
  }),
  server: word,
  ...callShape,
});
export type AuditCall = z.infer<typeof auditCallSchema>;

/** What a client of the API may report: a call of firebreak's own tools. Who it is, the daemon knows. */
export const auditReportSchema = z.strictObject({
  client: z.strictObject({ name: word.optional(), version: word.optional() }).default({}),
  ...callShape,
});
export type AuditReport = z.input<typeof auditReportSchema>;

export const AUDIT_NOTES = [
  "torn_line",
  "entries_missing",
  "entries_lost",
  "entries_removed",
  "end_not_verified",
] as const;
/** What has become of the log. */
export const auditNoteSchema = z.object({
  what: z.enum(AUDIT_NOTES),
  bytes: bytes.optional().describe("of a last line that was not written whole, and has been cut off"),
  from: z.number().int().optional().describe("the first entry that was there and is missing, or was removed"),
  to: z.number().int().optional().describe("the last one"),
  lastHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe("of the last entry that was removed for its age or the log's size: what is kept follows on it"),
  count: z.number().int().optional().describe("how many calls could not be written"),
});
export type AuditNote = z.infer<typeof auditNoteSchema>;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const chained = {
  seq: z.number().int().min(1).describe("one more for each, without gaps"),
  at: z.string(),
  prevHash: hash.describe("that of the entry before; of the first, zeros"),
  hash: hash.describe("HMAC-SHA256 over the canonical JSON of the rest"),
};

export const auditEntrySchema = z.union([
  z.object({ ...chained, ...auditCallSchema.shape }),
  z.object({ ...chained, note: auditNoteSchema }),
]);
export type AuditEntry = z.infer<typeof auditEntrySchema>;

export const DEFAULT_AUDIT_PAGE = 200;
export const MAX_AUDIT_PAGE = 10_000;
export const auditPageSchema = z.object({
  entries: z.array(auditEntrySchema),
  more: z.boolean().describe("there are more after the last one"),
});
export type AuditPage = z.infer<typeof auditPageSchema>;

/** Which entries are meant. Notes are among them as long as nothing is said of calls. */
export interface AuditFilter {
  /** ISO 8601: from then on. */
  since?: string | undefined;
  server?: string | undefined;
  /** By principal, or by what the client says that it is. */
  client?: string | undefined;
  verdict?: AuditVerdict | undefined;
}

export const AUDIT_FORMATS = ["jsonl", "csv"] as const;
export type AuditFormat = (typeof AUDIT_FORMATS)[number];

/** Answer of POST /v1/audit/verify. */
export const auditVerificationSchema = z.object({
  ok: z.boolean(),
  entries: z.number().int().describe("that follow on each other, from the first on"),
  removed: z
    .number()
    .int()
    .optional()
    .describe("entries before those that were removed as `[audit] keep` and `max_size` say; the log itself says so"),
  firstBad: z
    .object({ file: z.string(), line: z.number().int(), why: z.string() })
    .optional()
    .describe("where the chain ends"),
});
export type AuditVerification = z.infer<typeof auditVerificationSchema>;

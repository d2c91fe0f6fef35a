import { z } from "zod";
import {
  AUDIT_FORMATS,
  AUDIT_VERDICTS,
  auditPageSchema,
  auditReportSchema,
  auditVerificationSchema,
  MAX_AUDIT_PAGE,
} from "../audit.ts";
import { count, flag, json, jsonBody, nothing, type Route } from "./route.ts";

const filter = {
  since: z.iso.datetime({ offset: true }).optional().describe("from this time on, as ISO 8601"),
  server: z.string().optional().describe("calls of this MCP server only"),
  client: z.string().optional().describe("calls of this principal, or of clients that say they are this"),
  verdict: z.enum(AUDIT_VERDICTS).optional().describe("calls that ended so only"),
};

export const auditRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/audit",
    summary: "Calls of MCP servers as they are in the audit log, the oldest first",
    query: z.object({
      ...filter,
      after: count(
        "the number of the last entry that is known; without it the newest are answered; a stream goes by Last-Event-ID, too",
      ),
      limit: z.number().int().min(1).max(MAX_AUDIT_PAGE).optional().describe("entries at most"),
      follow: flag("go on with what comes, as lines or as a stream"),
    }),
    answer: {
      ...json(auditPageSchema),
      also: {
        "application/x-ndjson": "with `follow=true`: a line `{entry}` each, without end",
        "text/event-stream": "with that in Accept: an event each, without end",
      },
    },
  },
  {
    method: "GET",
    path: "/v1/audit/export",
    summary: "All entries of the audit log that match",
    query: z.object({
      ...filter,
      format: z.enum(AUDIT_FORMATS).optional().describe("lines of JSON unless told otherwise"),
    }),
    answer: { form: "bytes", type: "application/x-ndjson", also: { "text/csv": "with `format=csv`" } },
  },
  {
    method: "POST",
    path: "/v1/audit",
    summary: "Records a call of firebreak's own tools; who made it is who makes this request",
    body: jsonBody(auditReportSchema),
    answer: nothing,
  },
  {
    method: "POST",
    path: "/v1/audit/verify",
    summary: "Goes over the audit log: whether each entry is as it was written, and none is missing",
    answer: json(auditVerificationSchema),
  },
];

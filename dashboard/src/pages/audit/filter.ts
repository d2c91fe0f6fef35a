import type { AuditFilter, AuditVerdict } from "../../../../src/contract/audit.ts";
import { withQuery } from "../../api/client.ts";

export const VERDICTS: readonly AuditVerdict[] = ["ok", "tool_error", "denied", "failed", "canceled"];
export const SPANS = [
  { id: "all", label: "All that is kept", hours: undefined },
  { id: "hour", label: "Last hour", hours: 1 },
  { id: "day", label: "Last day", hours: 24 },
  { id: "week", label: "Last 7 days", hours: 7 * 24 },
] as const;
export type SpanId = (typeof SPANS)[number]["id"];

export interface Filter extends Pick<AuditFilter, "server" | "client" | "verdict"> {
  span: SpanId;
  /** When the span was chosen, ms: a page that asks again must not ask for something else. */
  chosenAtMs: number;
}

export const NO_FILTER: Filter = { span: "all", chosenAtMs: 0 };

/** Path and query of the newest entries that are meant. */
export function auditPath(filter: Filter, limit: number): string {
  return withQuery("/v1/audit", { ...queryOf(filter), limit });
}

export function exportPath(filter: Filter, format: "csv" | "jsonl"): string {
  return withQuery("/v1/audit/export", { ...queryOf(filter), format });
}

function queryOf({ server, client, verdict, span, chosenAtMs }: Filter) {
  const hours = SPANS.find(({ id }) => id === span)?.hours;
  const since = hours === undefined ? undefined : new Date(chosenAtMs - hours * 3_600_000).toISOString();
  return { server: server?.trim(), client: client?.trim(), verdict, since };
}

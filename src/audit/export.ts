import type { AuditEntry, AuditFilter, AuditFormat } from "../contract/audit.ts";
import { canonicalJson } from "../contract/canonical-json.ts";
import { entriesAfter, matches } from "./read.ts";

const COLUMNS = [
  "seq",
  "at",
  "principal",
  "client",
  "client_version",
  "server",
  "tool",
  "method",
  "vm",
  "request_bytes",
  "response_bytes",
  "duration_ms",
  "verdict",
  "code",
  "note",
  "arguments",
  "hash",
] as const;

/** All entries that match, the oldest first, as pieces of text: no more of them is in memory than one. */
export async function* exportEntries(
  folder: string,
  filter: AuditFilter,
  format: AuditFormat,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  if (format === "csv") yield `${COLUMNS.join(",")}\r\n`;
  for await (const entry of entriesAfter(folder, 0, signal))
    if (matches(entry, filter)) yield format === "csv" ? toCsv(entry) : `${canonicalJson(entry)}\n`;
}

function toCsv(entry: AuditEntry): string {
  const call = "note" in entry ? undefined : entry;
  const cells: Record<(typeof COLUMNS)[number], unknown> = {
    seq: entry.seq,
    at: entry.at,
    principal: call?.client.principal,
    client: call?.client.name,
    client_version: call?.client.version,
    server: call?.server,
    tool: call?.tool,
    method: call?.method,
    vm: call?.vm,
    request_bytes: call?.requestBytes,
    response_bytes: call?.responseBytes,
    duration_ms: call?.durationMs,
    verdict: call?.verdict,
    code: call?.code,
    note: "note" in entry ? JSON.stringify(entry.note) : undefined,
    arguments: call?.arguments === undefined ? undefined : JSON.stringify(call.arguments),
    hash: entry.hash,
  };
  return `${COLUMNS.map((column) => toCell(cells[column])).join(",")}\r\n`;
}

/** RFC 4180. What a spreadsheet would take for a formula gets an apostrophe before it: names come from servers that nobody trusts. */
function toCell(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

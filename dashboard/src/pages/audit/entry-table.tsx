import type { AuditEntry, AuditNote } from "../../../../src/contract/audit.ts";
import { StateBadge, type Tone } from "../../components/badge.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { When } from "../../components/when.tsx";
import { formatBytes, formatDuration } from "../../format.ts";
import { formatJson, showLine } from "../../text.ts";

const TONES: Record<string, Tone> = {
  ok: "good",
  tool_error: "warn",
  denied: "bad",
  failed: "bad",
  canceled: "neutral",
};

const COLUMNS: readonly Column<AuditEntry>[] = [
  { id: "seq", header: "No.", cell: ({ seq }) => seq, align: "end", isMinor: true },
  { id: "at", header: "When", cell: ({ at }) => <When at={at} /> },
  {
    id: "verdict",
    header: "Verdict",
    cell: (entry) =>
      "note" in entry ? (
        <StateBadge state="note" tone="info" />
      ) : (
        <StateBadge state={entry.verdict} tone={TONES[entry.verdict] ?? "neutral"} />
      ),
  },
  {
    id: "call",
    header: "Call",
    isWide: true,
    cell: (entry) => {
      const text = "note" in entry ? describeNote(entry.note) : describeCall(entry);
      return <span title={text}>{text}</span>;
    },
  },
  {
    id: "client",
    header: "Client",
    isMinor: true,
    cell: (entry) =>
      "note" in entry ? (
        ""
      ) : (
        <span className="cut audit-client" title={describeClient(entry)}>
          {describeClient(entry)}
        </span>
      ),
  },
  {
    id: "bytes",
    header: "In / out",
    align: "end",
    isMinor: true,
    cell: (entry) =>
      "note" in entry ? "" : `${formatBytes(entry.requestBytes)} / ${formatBytes(entry.responseBytes)}`,
  },
  {
    id: "duration",
    header: "Took",
    align: "end",
    isMinor: true,
    cell: (entry) => ("note" in entry ? "" : formatTook(entry.durationMs)),
  },
];

export function EntryTable({ entries }: { entries: readonly AuditEntry[] }) {
  return <Table label="Audit log" columns={COLUMNS} rows={entries} rowKey={({ seq }) => String(seq)} />;
}

/** Most calls take less than a second. */
function formatTook(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : formatDuration(ms);
}

type Call = Exclude<AuditEntry, { note: unknown }>;

/** The words of an entry are the server's and the client's. */
function describeCall({ server, tool, method, code, vm, arguments: args }: Call): string {
  const parts = [
    `${server} ${tool ?? method ?? ""}`,
    vm === undefined ? undefined : `in ${vm}`,
    code,
    args === undefined ? undefined : formatJson(args).slice(0, 500),
  ];
  return showLine(parts.filter((part) => part !== undefined).join(" · "));
}

function describeClient({ client }: Call): string {
  const { principal, name } = client;
  return showLine(name === undefined ? principal : `${principal} (${name})`);
}

const NOTES: Record<AuditNote["what"], string> = {
  torn_line: "a last line that was not written whole has been cut off",
  entries_missing: "entries were missing",
  entries_lost: "calls could not be written",
  entries_removed: "old entries have been removed, as configured",
  end_not_verified: "the end of the log could not be verified",
};

function describeNote({ what, from, to, count }: AuditNote): string {
  const which = from === undefined ? "" : ` (${from} to ${to ?? "?"})`;
  return `${NOTES[what]}${which}${count === undefined ? "" : ` (${count})`}`;
}

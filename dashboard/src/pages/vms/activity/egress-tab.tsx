import { useState } from "react";
import type { EgressEvent, EgressPage } from "../../../../../src/contract/egress.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card } from "../../../components/page.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { formatBytes, formatDateTime, formatTime } from "../../../format.ts";
import { showLine } from "../../../text.ts";

const PAGE = 200;
const MAX_PAGE = 10_000;
const VERDICTS = ["all", "denied", "allowed", "failed"] as const;

const COLUMNS: readonly Column<EgressEvent>[] = [
  {
    id: "at",
    header: "When",
    cell: ({ at }) => (
      <time dateTime={at} title={formatDateTime(at)}>
        {formatTime(at)}
      </time>
    ),
  },
  { id: "verdict", header: "Verdict", cell: ({ verdict }) => <StateBadge state={verdict} /> },
  { id: "protocol", header: "Protocol", cell: ({ protocol }) => protocol, isMinor: true },
  {
    id: "target",
    header: "Where to",
    cell: (event) => (
      <>
        <code>{targetOf(event)}</code>
        <span className="narrow-only muted">{showLine(whyOf(event.rule, event.why))}</span>
      </>
    ),
    wrapsWhenNarrow: true,
  },
  {
    id: "why",
    header: "Why",
    cell: ({ rule, why }) => <span title={showLine(whyOf(rule, why))}>{showLine(whyOf(rule, why))}</span>,
    isWide: true,
    isMinor: true,
  },
  { id: "count", header: "Times", cell: ({ count }) => count, align: "end", isMinor: true },
  {
    id: "bytes",
    header: "Out / in",
    cell: ({ sentBytes, receivedBytes }) => `${formatBytes(sentBytes)} / ${formatBytes(receivedBytes)}`,
    align: "end",
    isMinor: true,
  },
];

/** What a VM has tried to reach, the newest first. */
export function EgressTab({ vm }: { vm: Vm }) {
  const [limit, setLimit] = useState(PAGE);
  const [verdict, setVerdict] = useState<(typeof VERDICTS)[number]>("all");
  const path = `/v1/egress?vm=${encodeURIComponent(vm.id)}&limit=${limit}`;
  const { data, error, refresh } = usePoll<EgressPage>(path, 2_000);
  if (data === undefined) {
    if (error !== undefined) return <ErrorBox error={error} onRetry={refresh} />;
    return <Loading label="Loading the egress log" />;
  }
  const rows = data.events.filter((event) => verdict === "all" || event.verdict === verdict).reverse();
  return (
    <Card
      title="Egress log"
      actions={
        <select
          className="select select-small"
          aria-label="Verdict"
          value={verdict}
          onChange={(event) => setVerdict(VERDICTS.find((one) => one === event.target.value) ?? "all")}
        >
          {VERDICTS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      }
      isFlush
    >
      <Table
        label={`Egress of ${vm.name}`}
        columns={COLUMNS}
        rows={rows}
        rowKey={({ id }) => String(id)}
        empty={<Empty title={data.events.length === 0 ? "It has not tried to reach anything" : "None is like that"} />}
      />
      {data.events.length >= limit && limit < MAX_PAGE && (
        <p className="card-note">
          <Button onClick={() => setLimit(Math.min(MAX_PAGE, 5 * limit))}>Show older ones</Button>
        </p>
      )}
    </Card>
  );
}

function targetOf({ name, address, port }: EgressEvent): string {
  const host = name ?? address ?? "?";
  return showLine(port === undefined ? host : `${host}:${port}`);
}

function whyOf(rule: string | undefined, why: string | undefined): string {
  return [rule === undefined ? undefined : `rule ${rule}`, why].filter((one) => one !== undefined).join("; ");
}

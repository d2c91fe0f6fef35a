import { useState } from "react";
import type { EventPage, VmEvent } from "../../../../../src/contract/event.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { Button } from "../../../components/button.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card } from "../../../components/page.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { When } from "../../../components/when.tsx";
import { showLine } from "../../../text.ts";
import { vmPath } from "../api.ts";

const PAGE = 200;
const MAX_PAGE = 10_000;

const COLUMNS: readonly Column<VmEvent>[] = [
  { id: "at", header: "When", cell: ({ at }) => <When at={at} /> },
  { id: "kind", header: "What", cell: ({ kind }) => <strong>{kind.replaceAll("_", " ")}</strong> },
  {
    id: "data",
    header: "Details",
    cell: ({ data }) => <span title={detailsOf(data)}>{detailsOf(data)}</span>,
    isWide: true,
  },
];

/** A VM's history, the newest first. */
export function EventsTab({ vm }: { vm: Vm }) {
  const [limit, setLimit] = useState(PAGE);
  const { data, error, refresh } = usePoll<EventPage>(vmPath(vm.id, `/events?limit=${limit}`), 2_000);
  if (data === undefined)
    return error === undefined ? <Loading label="Loading events" /> : <ErrorBox error={error} onRetry={refresh} />;
  return (
    <Card isFlush>
      <Table
        label={`Events of ${vm.name}`}
        columns={COLUMNS}
        rows={data.events.toReversed()}
        rowKey={({ id }) => String(id)}
        empty={<Empty title="Nothing has happened yet" />}
      />
      {data.events.length >= limit && limit < MAX_PAGE && (
        <p className="card-note">
          <Button onClick={() => setLimit(Math.min(MAX_PAGE, 5 * limit))}>Show older ones</Button>
        </p>
      )}
    </Card>
  );
}

function detailsOf(data: Record<string, unknown>): string {
  const text = Object.entries(data)
    .map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
  return showLine(text.slice(0, 1_000));
}

import type { ReactNode } from "react";
import type { Task } from "../../../../src/contract/task.ts";
import { StateBadge } from "../../components/badge.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { formatAgo, formatUsd } from "../../format.ts";
import { durationOf, nameOf } from "./task-name.ts";

const COLUMNS: readonly Column<Task>[] = [
  { id: "task", header: "Task", isWide: true, cell: (task) => nameOf(task) },
  {
    id: "state",
    header: "State",
    cell: ({ state, finish }) => <StateBadge state={finish !== undefined && state === "failed" ? finish : state} />,
  },
  { id: "agent", header: "Agent", isMinor: true, cell: ({ agent }) => agent },
  { id: "time", header: "Time", align: "end", isMinor: true, cell: (task) => durationOf(task) ?? "–" },
  {
    id: "cost",
    header: "Cost",
    align: "end",
    isMinor: true,
    cell: ({ usage }) => (usage?.cost === undefined ? "–" : formatUsd(usage.cost.usd)),
  },
  {
    id: "made",
    header: "Made",
    align: "end",
    isMinor: true,
    cell: ({ createdAt }) => <span className="muted">{formatAgo(createdAt)}</span>,
  },
];

/** Tasks, each a link to its page. */
export function TaskTable({ label, tasks, empty }: { label: string; tasks: readonly Task[]; empty: ReactNode }) {
  return (
    <Table
      label={label}
      columns={COLUMNS}
      rows={tasks}
      rowKey={({ id }) => id}
      href={({ id }) => `/tasks/${id}`}
      empty={empty}
    />
  );
}

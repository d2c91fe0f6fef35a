import { Link } from "wouter";
import type { EgressEvent, EgressPage } from "../../../../src/contract/egress.ts";
import type { HostInfo } from "../../../../src/contract/host.ts";
import type { Task } from "../../../../src/contract/task.ts";
import type { Usage } from "../../../../src/contract/usage.ts";
import { withQuery } from "../../api/client.ts";
import { useHistory } from "../../api/use-history.ts";
import { usePoll } from "../../api/use-poll.ts";
import { Chart, Meter } from "../../components/chart.tsx";
import { Empty, ErrorBox, Loading } from "../../components/feedback.tsx";
import { Icon } from "../../components/icon.tsx";
import { Card, Page, Stat } from "../../components/page.tsx";
import { Table } from "../../components/table.tsx";
import {
  formatAgo,
  formatBytes,
  formatCompact,
  formatCount,
  formatCountOf,
  formatDuration,
  formatLastTries,
  formatPercent,
  formatUsd,
} from "../../format.ts";
import { TaskTable } from "../tasks/task-table.tsx";

const FAST_MS = 2_000;
const SLOW_MS = 10_000;
const ACTIVE = withQuery("/v1/tasks", { state: ["queued", "starting", "running", "collecting"], limit: 1000 });
const RECENT_SHOWN = 8;
const DENIALS_SHOWN = 8;

/** What this host does now: at a glance, and each figure a way to more. */
export function OverviewPage() {
  const active = usePoll<{ tasks: Task[] }>(ACTIVE, FAST_MS);
  const recent = usePoll<{ tasks: Task[] }>(withQuery("/v1/tasks", { limit: RECENT_SHOWN }), FAST_MS);
  const host = usePoll<HostInfo>("/v1/host", FAST_MS);
  const egress = usePoll<EgressPage>(withQuery("/v1/egress", { limit: 500 }), SLOW_MS);
  const usage = usePoll<Usage>("/v1/usage", SLOW_MS);
  const error = active.error ?? recent.error ?? host.error ?? egress.error ?? usage.error;
  const tasks = active.data?.tasks ?? [];
  const queued = tasks.filter(({ state }) => state === "queued").length;
  const vms = host.data?.vms;
  const denials = (egress.data?.events ?? []).filter(({ verdict }) => verdict === "denied").reverse();
  return (
    <Page
      title="Overview"
      actions={
        <Link href="/tasks?new" className="button button-primary">
          <Icon name="plus" />
          New task
        </Link>
      }
    >
      {error !== undefined && <ErrorBox error={error} onRetry={host.refresh} />}
      <div className="grid">
        <Stat
          label="Tasks running"
          value={active.data === undefined ? "–" : tasks.length - queued}
          note={`${queued} in the queue`}
        />
        <Stat label="VMs running" value={vms?.running ?? "–"} note={vms === undefined ? "" : `${vms.total} in all`} />
        <Stat
          label="Denied on the way out"
          value={egress.data === undefined ? "–" : formatCompact(triesOf(denials))}
          note={egress.data === undefined ? "" : formatLastTries(triesOf(egress.data.events))}
        />
        <Stat
          label="Spent on models"
          value={usage.data === undefined ? "–" : formatUsd(usage.data.total.costUsd)}
          note={usage.data === undefined ? "" : `by ${formatCountOf(usage.data.total.tasks, "task")} that ended`}
        />
      </div>
      <div className="grid-wide">
        <HostCard host={host.data} />
        <UsageCard usage={usage.data} />
      </div>
      <Card title="Latest tasks" isFlush actions={<Link href="/tasks">All tasks</Link>}>
        {recent.data === undefined ? (
          <Loading label="Loading tasks" />
        ) : (
          <TaskTable
            label="Latest tasks"
            tasks={recent.data.tasks}
            empty={
              <Empty icon="task" title="No tasks yet">
                Give an agent a prompt, or run a command: each in a VM of its own.{" "}
                <Link href="/tasks?new">Start one</Link>
              </Empty>
            }
          />
        )}
      </Card>
      <Card title="Denied on the way out" isFlush>
        <Denials events={denials.slice(0, DENIALS_SHOWN)} isLoading={egress.data === undefined} />
      </Card>
    </Page>
  );
}

/** One event may stand for several equal tries. */
const triesOf = (events: readonly EgressEvent[]) => events.reduce((sum, { count }) => sum + count, 0);

function HostCard({ host }: { host: HostInfo | undefined }) {
  const used = host === undefined ? undefined : host.memory.totalBytes - host.memory.availableBytes;
  const memory = useHistory(used, host);
  const load = useHistory(host?.load1, host);
  if (host === undefined)
    return (
      <Card title="Host">
        <Loading />
      </Card>
    );
  const disk = host.disk.totalBytes - host.disk.availableBytes;
  return (
    <Card title="Host">
      <div className="host-charts">
        <div>
          <p className="host-label">
            Memory <strong>{formatBytes(used ?? 0)}</strong> of {formatBytes(host.memory.totalBytes)}
          </p>
          <Chart label={`Memory in use: ${formatBytes(used ?? 0)}`} samples={memory} max={host.memory.totalBytes} />
        </div>
        <div>
          <p className="host-label">
            Load <strong>{host.load1.toFixed(2)}</strong> on {host.cpus} processors
          </p>
          <Chart label={`Load: ${host.load1.toFixed(2)}`} samples={load} max={host.cpus} />
        </div>
      </div>
      <p className="host-label host-disk">
        Disk <strong>{formatPercent(disk / host.disk.totalBytes)}</strong> used, {formatBytes(host.disk.availableBytes)}{" "}
        free
      </p>
      <Meter label="Disk in use" share={disk / host.disk.totalBytes} />
    </Card>
  );
}

function UsageCard({ usage }: { usage: Usage | undefined }) {
  if (usage === undefined)
    return (
      <Card title="Usage by agent">
        <Loading />
      </Card>
    );
  return (
    <Card title="Usage by agent" isFlush>
      <Table
        label="Usage by agent"
        rows={usage.groups.slice(0, 6)}
        rowKey={({ key = "" }) => key}
        columns={[
          { id: "agent", header: "Agent", isWide: true, cell: ({ key = "none" }) => key },
          { id: "tasks", header: "Tasks", align: "end", cell: ({ tasks }) => formatCount(tasks) },
          {
            id: "tokens",
            header: "Tokens",
            align: "end",
            isMinor: true,
            cell: ({ tokens: { input, output, cacheRead, cacheWrite } }) =>
              formatCompact(input + output + cacheRead + cacheWrite),
          },
          {
            id: "time",
            header: "VM time",
            align: "end",
            isMinor: true,
            cell: ({ vmSeconds }) => formatDuration(1000 * vmSeconds),
          },
          { id: "cost", header: "Cost", align: "end", cell: ({ costUsd }) => formatUsd(costUsd) },
        ]}
        empty={
          <Empty icon="overview" title="Nothing used yet">
            What tasks took is counted when they end.
          </Empty>
        }
      />
    </Card>
  );
}

function Denials({ events, isLoading }: { events: readonly EgressEvent[]; isLoading: boolean }) {
  if (isLoading) return <Loading />;
  return (
    <Table
      label="Denied on the way out"
      rows={events}
      rowKey={({ id }) => String(id)}
      columns={[
        {
          id: "where",
          header: "Where to",
          isWide: true,
          cell: ({ name, address, port }) => `${name ?? address ?? "?"}${port === undefined ? "" : `:${port}`}`,
        },
        { id: "vm", header: "VM", isMinor: true, cell: ({ vm }) => <Link href={`/vms/${vm.id}`}>{vm.name}</Link> },
        {
          id: "why",
          header: "Why",
          isMinor: true,
          cell: ({ rule, why }) => <span className="muted">{rule ?? why ?? ""}</span>,
        },
        { id: "count", header: "Times", align: "end", cell: ({ count }) => formatCount(count) },
        { id: "at", header: "When", align: "end", cell: ({ at }) => <span className="muted">{formatAgo(at)}</span> },
      ]}
      empty={
        <Empty icon="check" title="Nothing was denied">
          What VMs try to reach and may not is listed here.
        </Empty>
      }
    />
  );
}

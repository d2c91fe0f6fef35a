import type { Vm } from "../../../../../src/contract/vm.ts";
import { Chip } from "../../../components/badge.tsx";
import { Card, Facts } from "../../../components/page.tsx";
import { formatAgo, formatDateTime, formatDuration, formatMib } from "../../../format.ts";
import { PolicyCard } from "../policy/policy-card.tsx";
import { StatsCards } from "../stats/stats-cards.tsx";

/** What a VM is, what it uses, what it may reach. */
export function OverviewTab({ vm, onChange }: { vm: Vm; onChange: () => Promise<void> }) {
  return (
    <div className="stack">
      <StatsCards vm={vm} />
      <div className="grid-wide">
        <Card title="Machine">
          <Facts facts={factsOf(vm)} />
        </Card>
        <PolicyCard vm={vm} onChange={onChange} />
      </div>
    </div>
  );
}

function factsOf(vm: Vm): [string, React.ReactNode][] {
  return [
    ["Id", <code key="id">{vm.id}</code>],
    ["Image", vm.image],
    ["CPUs", vm.cpus],
    ["Memory", formatMib(vm.memoryMib)],
    ["Disk", formatMib(vm.diskMib)],
    ["Accelerator", vm.accel === undefined ? undefined : `${vm.driver}, ${vm.accel}`],
    ["Came from", vm.origin],
    ["Boot", vm.bootMs === undefined ? undefined : formatDuration(vm.bootMs)],
    [
      "Created",
      <time key="at" dateTime={vm.createdAt} title={formatDateTime(vm.createdAt)}>
        {formatAgo(vm.createdAt)}
      </time>,
    ],
    ["Started", vm.startedAt === undefined ? undefined : formatDateTime(vm.startedAt)],
    ["Saved when idle for", vm.idleTimeoutMs === undefined ? undefined : formatDuration(vm.idleTimeoutMs)],
    ["Restarted", vm.restart.policy === "never" ? undefined : `${vm.restart.policy} (${vm.restartCount} in a row)`],
    ["Expires", vm.expiresAt === undefined ? undefined : `${formatDateTime(vm.expiresAt)}, then ${vm.onExpiry}`],
    ["Drives", list(vm.drives.map(({ name }) => name))],
    ["Mounts", list(vm.mounts.map(({ hostPath, guestPath, access }) => `${hostPath} at ${guestPath} (${access})`))],
    ["Labels", list(Object.entries(vm.labels).map(([key, value]) => `${key}=${value}`))],
  ];
}

function list(texts: readonly string[]): React.ReactNode {
  if (texts.length === 0) return undefined;
  return (
    <span className="chips">
      {texts.map((text) => (
        <Chip key={text} title={text}>
          {text}
        </Chip>
      ))}
    </span>
  );
}

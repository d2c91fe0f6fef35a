import { useState } from "react";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card, Page } from "../../../components/page.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { formatAgo, formatMib } from "../../../format.ts";
import { vmHref } from "../api.ts";
import { NewVmDialog } from "./new-vm-dialog.tsx";

const COLUMNS: readonly Column<Vm>[] = [
  { id: "name", header: "Name", cell: ({ name }) => name },
  { id: "state", header: "State", cell: ({ state }) => <StateBadge state={state} /> },
  { id: "image", header: "Image", cell: ({ image }) => <span className="cut">{image}</span>, isWide: true },
  { id: "network", header: "Network", cell: ({ network }) => network.mode, isMinor: true },
  { id: "cpus", header: "CPUs", cell: ({ cpus }) => cpus, align: "end", isMinor: true },
  { id: "memory", header: "Memory", cell: ({ memoryMib }) => formatMib(memoryMib), align: "end", isMinor: true },
  { id: "created", header: "Created", cell: ({ createdAt }) => formatAgo(createdAt), align: "end", isMinor: true },
];

/** All VMs, those that live first. */
export function VmsPage() {
  const { data, error, refresh } = usePoll<{ vms: Vm[] }>("/v1/vms", 2_000);
  const [text, setText] = useState("");
  const [isMaking, setMaking] = useState(false);
  const vms = data?.vms ?? [];
  const isFound = ({ name, image, state }: Vm) => [name, image, state].some((one) => one.includes(text.trim()));
  const running = vms.filter(({ state }) => state === "running").length;
  return (
    <Page
      title="VMs"
      about={data === undefined ? undefined : `${vms.length} in all, ${running} running`}
      actions={
        <Button tone="primary" icon="plus" onClick={() => setMaking(true)}>
          New VM
        </Button>
      }
    >
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      {vms.length > 0 && (
        <input
          className="input filter-input"
          type="search"
          placeholder="Filter by name, image or state"
          aria-label="Filter VMs"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      <Card isFlush>
        {data === undefined && error === undefined ? (
          <Loading label="Loading VMs" />
        ) : (
          <Table
            label="VMs"
            columns={COLUMNS}
            rows={vms.filter(isFound).sort(byLifeAndName)}
            rowKey={({ id }) => id}
            href={({ name }) => vmHref(name)}
            empty={<NoVms isFiltered={vms.length > 0} />}
          />
        )}
      </Card>
      <NewVmDialog isOpen={isMaking} onClose={() => setMaking(false)} />
    </Page>
  );
}

function NoVms({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No VM is like that" />;
  return (
    <Empty icon="vm" title="No VMs yet">
      Make one here, or with <code>firebreak vm create</code>.
    </Empty>
  );
}

const DOWN = ["stopped", "crashed", "created", "suspended"];
function byLifeAndName(a: Vm, b: Vm): number {
  return Number(DOWN.includes(a.state)) - Number(DOWN.includes(b.state)) || a.name.localeCompare(b.name);
}

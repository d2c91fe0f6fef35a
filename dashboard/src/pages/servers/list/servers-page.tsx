import type { Server } from "../../../../../src/contract/server.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card, Page } from "../../../components/page.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { formatCount } from "../../../format.ts";
import { serverHref } from "../api.ts";

const COLUMNS: readonly Column<Server>[] = [
  { id: "name", header: "Name", cell: ({ name }) => name, wrapsWhenNarrow: true },
  { id: "state", header: "State", cell: ({ state }) => <StateBadge state={state} /> },
  {
    id: "waiting",
    header: "Approval",
    cell: ({ waiting }) => waiting > 0 && <StateBadge state={`${waiting} waiting`} tone="warn" />,
  },
  { id: "runs", header: "Runs", cell: (server) => <code>{runsWhat(server)}</code>, isWide: true, isMinor: true },
  { id: "tools", header: "Tools", cell: ({ tools }) => formatCount(tools.length), align: "end" },
  { id: "vms", header: "VMs", cell: ({ vms }) => vms.length, align: "end", isMinor: true },
];

/** MCP servers, each in a VM of its own. */
export function ServersPage() {
  const { data, error, refresh } = usePoll<{ servers: Server[] }>("/v1/servers", 3_000);
  const servers = data?.servers ?? [];
  const waiting = servers.filter((server) => server.waiting > 0).length;
  return (
    <Page
      title="MCP servers"
      about={waiting > 0 ? `${waiting} of ${servers.length} offer something that waits for an approval` : undefined}
    >
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      <Card isFlush>
        {data === undefined && error === undefined ? (
          <Loading label="Loading servers" />
        ) : (
          <Table
            label="MCP servers"
            columns={COLUMNS}
            rows={servers.toSorted((a, b) => a.name.localeCompare(b.name))}
            rowKey={({ name }) => name}
            href={({ name }) => serverHref(name)}
            empty={
              <Empty icon="server" title="No servers yet">
                Name them in <code>firebreak.toml</code>, then <code>firebreak up</code>.
              </Empty>
            }
          />
        )}
      </Card>
    </Page>
  );
}

function runsWhat({ config }: Server): string {
  if (config.kind === "remote") return config.url;
  return config.command.length > 0 ? config.command.join(" ").slice(0, 200) : `image ${config.image ?? "?"}`;
}

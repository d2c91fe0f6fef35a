import { Link, useLocation } from "wouter";
import type { Server } from "../../../../../src/contract/server.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Page } from "../../../components/page.tsx";
import { type Tab, Tabs } from "../../../components/tabs.tsx";
import { serverHref, serverPath } from "../api.ts";
import { ScanTab } from "../scan/scan-tab.tsx";
import { ToolsTab } from "../tools/tools-tab.tsx";
import { ConfigTab } from "./config-tab.tsx";
import { LogTab } from "./log-tab.tsx";
import { ServerActions } from "./server-actions.tsx";

/** One MCP server. */
export function ServerPage({ name, tab }: { name: string; tab: string }) {
  const { data: server, error, refresh } = usePoll<Server>(serverPath(name), 3_000);
  const [, navigate] = useLocation();
  if (server === undefined && error?.code === "SERVER_NOT_FOUND") {
    return (
      <Page title={name}>
        <Empty icon="server" title="There is no such server">
          <Link href="/mcp-servers">All servers</Link>
        </Empty>
      </Page>
    );
  }
  return (
    <Page
      title={name}
      badge={server !== undefined && <StateBadge state={server.state} />}
      about={server?.reason}
      actions={server !== undefined && <ServerActions server={server} onChange={refresh} />}
    >
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      {server === undefined && error === undefined && <Loading label="Loading the server" />}
      {server !== undefined && (
        <Tabs
          label="About this server"
          tabs={tabsOf(server, refresh)}
          selected={tab}
          onSelect={(id) => navigate(serverHref(name, id), { replace: true })}
        />
      )}
    </Page>
  );
}

function tabsOf(server: Server, refresh: () => Promise<void>): Tab[] {
  return [
    { id: "tools", label: `Tools (${server.tools.length})`, content: () => <ToolsTab server={server} /> },
    {
      id: "scan",
      label: server.waiting > 0 ? `Scan (${server.waiting} waiting)` : "Scan",
      content: () => <ScanTab server={server} onChange={refresh} />,
    },
    { id: "log", label: "Log", content: () => <LogTab server={server} /> },
    { id: "config", label: "Configuration", content: () => <ConfigTab server={server} /> },
  ];
}

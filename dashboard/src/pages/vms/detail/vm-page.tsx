import { lazy, Suspense } from "react";
import { Link, useLocation } from "wouter";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Page } from "../../../components/page.tsx";
import { type Tab, Tabs } from "../../../components/tabs.tsx";
import { EgressTab } from "../activity/egress-tab.tsx";
import { EventsTab } from "../activity/events-tab.tsx";
import { vmHref, vmPath } from "../api.ts";
import { ConsoleTab } from "../console/console-tab.tsx";
import { FilesTab } from "../files/files-tab.tsx";
import { SnapshotsTab } from "../snapshots/snapshots-tab.tsx";
import { OverviewTab } from "./overview-tab.tsx";
import { VmActions } from "./vm-actions.tsx";

// The terminal's library is larger than all pages together.
const TerminalTab = lazy(() => import("../terminal/terminal-tab.tsx"));

/** One VM, by name or id. */
export function VmPage({ name, tab }: { name: string; tab: string }) {
  const { data: vm, error, refresh } = usePoll<Vm>(vmPath(name), 2_000);
  const [, navigate] = useLocation();
  if (vm === undefined && error?.code === "VM_NOT_FOUND") {
    return (
      <Page title={name}>
        <Empty icon="vm" title="There is no such VM">
          It may have been deleted. <Link href="/vms">All VMs</Link>
        </Empty>
      </Page>
    );
  }
  return (
    <Page
      title={vm?.name ?? name}
      badge={vm !== undefined && <StateBadge state={vm.state} />}
      about={vm?.reason}
      actions={vm !== undefined && <VmActions vm={vm} onChange={refresh} />}
    >
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      {vm === undefined && error === undefined && <Loading label="Loading the VM" />}
      {vm !== undefined && (
        <Tabs
          label="About this VM"
          tabs={tabsOf(vm, refresh, tab === "terminal")}
          selected={tab}
          onSelect={(id) => navigate(vmHref(name, id), { replace: true })}
        />
      )}
    </Page>
  );
}

function tabsOf(vm: Vm, refresh: () => Promise<void>, isTerminalSeen: boolean): Tab[] {
  return [
    { id: "overview", label: "Overview", content: () => <OverviewTab vm={vm} onChange={refresh} /> },
    {
      id: "terminal",
      label: "Terminal",
      isKept: true,
      content: () => (
        <Suspense fallback={<Loading label="Loading the terminal" />}>
          <TerminalTab vm={vm} isSeen={isTerminalSeen} />
        </Suspense>
      ),
    },
    { id: "console", label: "Console", content: () => <ConsoleTab vm={vm} /> },
    { id: "files", label: "Files", content: () => <FilesTab vm={vm} /> },
    { id: "snapshots", label: "Snapshots", content: () => <SnapshotsTab vm={vm} onChange={refresh} /> },
    { id: "events", label: "Events", content: () => <EventsTab vm={vm} /> },
    { id: "egress", label: "Egress", content: () => <EgressTab vm={vm} /> },
  ];
}

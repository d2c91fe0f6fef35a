import type { DaemonClient } from "../../client/daemon-client.ts";
import type { Workspace, WorkspaceReport } from "../../contract/workspace.ts";
import { stripControl } from "../../platform/terminal-text.ts";
import { printSkipped } from "../output.ts";

const SHOWN = 40;
/** As `already_exists` and `aborted` end: something is in the way, and nothing is lost. */
const CONFLICT_EXIT = 4;

/** A sync for people; the changes themselves when it was only asked what there would be. */
export function printReport(report: WorkspaceReport, vm: string): void {
  const { counts, changes, conflicts, isDryRun } = report;
  const isPush = report.direction === "push";
  const where = isPush ? `${vm}:${report.guestPath}` : report.directory;
  const total = counts.created + counts.updated + counts.deleted;
  if (isDryRun) {
    for (const { path, change } of changes.slice(0, SHOWN)) process.stdout.write(`${change} ${stripControl(path)}\n`);
    if (total > SHOWN) process.stdout.write(`${total - SHOWN} more; --json lists all\n`);
  }
  const figures = `${counts.created} created, ${counts.updated} updated, ${counts.deleted} deleted`;
  const verb = isDryRun ? "would be " : "";
  process.stdout.write(
    total === 0 ? `nothing to change in ${stripControl(where)}\n` : `${verb}${figures} in ${stripControl(where)}\n`,
  );
  if (report.backup !== undefined) process.stdout.write(`backup: ${report.backup.id} (${report.backup.file})\n`);
  printConflicts(report, vm);
  printSkipped(report.skipped);
  if (conflicts.length > 0 && report.resolution === undefined) process.exitCode = CONFLICT_EXIT;
}

function printConflicts({ conflicts, resolution, direction }: WorkspaceReport, vm: string): void {
  for (const { path, host, vm: there } of conflicts.slice(0, SHOWN))
    process.stderr.write(`conflict: ${stripControl(path)} (here ${host}, in ${vm} ${there})\n`);
  if (conflicts.length > SHOWN) process.stderr.write(`conflict: ${conflicts.length - SHOWN} more; --json lists all\n`);
  if (conflicts.length === 0) return;
  process.stderr.write(
    resolution === undefined
      ? `Left alone. To decide: firebreak workspace ${direction} ${vm} --ours (this host's), --theirs (the VM's) or --keep-both\n`
      : `Decided: ${resolution}\n`,
  );
}

export async function findWorkspace(
  client: DaemonClient,
  isMeant: (workspace: Workspace) => boolean,
): Promise<Workspace | undefined> {
  return (await client.workspaces.list()).find(isMeant);
}

/** After a VM has ended: what became of its workspace. Nothing when it has none. */
export async function printWorkspaceAfter(
  client: DaemonClient,
  isMeant: (workspace: Workspace) => boolean,
): Promise<void> {
  const workspace = await findWorkspace(client, isMeant);
  if (workspace === undefined || !workspace.isAutomatic || workspace.readOnly) return;
  if (workspace.report?.direction === "pull") {
    const { report } = workspace;
    const { created, updated, deleted } = report.counts;
    process.stderr.write(
      `workspace: ${created} created, ${updated} updated, ${deleted} deleted in ${stripControl(report.directory)}\n`,
    );
    if (report.backup !== undefined) process.stderr.write(`backup: ${report.backup.id} (${report.backup.file})\n`);
    printConflicts(report, workspace.vm.name);
    printSkipped(report.skipped);
  }
  if (workspace.state === "synced") return;
  if (workspace.state === "open" && workspace.reason === undefined)
    return void process.stderr.write(
      `workspace: its VM is kept, and what it has changed with it: firebreak workspace pull ${workspace.vm.name}\n`,
    );
  process.stderr.write(
    `firebreak: the workspace is not synced: ${stripControl(workspace.reason ?? workspace.state)}\n`,
  );
}

import { createHash } from "node:crypto";
import path from "node:path";
import type { Vm } from "../contract/vm.ts";
import { DEFAULT_WORKSPACE_PATH, type Workspace } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { WorkspaceRecord } from "./workspace-store.ts";

/** The VM that a workspace belongs to; of a copy, `id` is the copy's own. */
export type WorkspaceVm = Pick<Vm, "id" | "name">;

/** A VM has one workspace, which has the VM's id, and copies by their place in the guest. */
export function copyId(vmId: string, guestPath: string): string {
  return `${vmId}.${createHash("sha256").update(guestPath).digest("hex").slice(0, 12)}`;
}

/** Whether it is one of a VM's copies. */
export function isCopy(record: Pick<WorkspaceRecord, "id" | "vmId">): boolean {
  return record.id !== record.vmId;
}

/** A workspace that nothing has been synced of. */
export function newRecord(
  vm: WorkspaceVm,
  spec: {
    directory: string;
    guestPath?: string | undefined;
    readOnly?: boolean | undefined;
    exclude?: string[] | undefined;
  },
): WorkspaceRecord {
  return {
    id: vm.id,
    vmId: vm.id,
    vmName: vm.name,
    directory: spec.directory,
    guestPath: tidyGuestPath(spec.guestPath ?? DEFAULT_WORKSPACE_PATH),
    readOnly: spec.readOnly ?? false,
    isAutomatic: false,
    exclude: spec.exclude ?? [],
    state: "new",
  };
}

/** No trailing slash; `/` itself would take the whole guest for a workspace. */
export function tidyGuestPath(guestPath: string): string {
  const tidy = path.posix.normalize(guestPath).replace(/\/+$/, "");
  if (tidy !== "") return tidy;
  throw new FirebreakError("INVALID_PATH", "a workspace cannot be the VM's root directory");
}

/** A VM's record as the API shows it. One that ended without a pull has what has not come back. */
export function toWorkspace(record: WorkspaceRecord, vm: Vm | undefined): Workspace {
  const hasEnded = vm === undefined || vm.state === "stopped" || vm.state === "crashed";
  const isLost = record.state === "open" && record.isAutomatic && hasEnded;
  const reason = record.reason ?? (isLost ? (vm?.reason ?? "the VM ended before its workspace was pulled") : undefined);
  return {
    vm: { id: record.vmId, name: vm?.name ?? record.vmName },
    directory: record.directory,
    guestPath: record.guestPath,
    readOnly: record.readOnly,
    isAutomatic: record.isAutomatic,
    exclude: record.exclude,
    state: isLost ? "not_synced" : record.state,
    ...(reason === undefined ? {} : { reason }),
    ...(record.lastPushAt === undefined ? {} : { lastPushAt: record.lastPushAt }),
    ...(record.lastPullAt === undefined ? {} : { lastPullAt: record.lastPullAt }),
    ...(record.report === undefined ? {} : { report: record.report }),
  };
}

/** Throws WORKSPACE_STATE_CONFLICT while a pull that was cut off waits to be finished. */
export function requireNotApplying(record: WorkspaceRecord): void {
  if (record.state !== "applying") return;
  throw new FirebreakError("WORKSPACE_STATE_CONFLICT", `a pull of '${record.vmName}' was cut off`, {
    hint: `Finish it first: firebreak workspace pull ${record.vmName}`,
  });
}

/** WORKSPACE_NOT_SYNCED. */
export function notSynced(
  vm: WorkspaceVm,
  record: Pick<WorkspaceRecord, "id" | "vmId" | "directory">,
  reason: string,
): FirebreakError {
  const what = isCopy(record) ? "its copy" : "its workspace";
  // A copy is of a server's VM, which whoever ends the server tries to end again.
  const remedy = isCopy(record)
    ? "Take away what is in the way, and end the server again: firebreak server stop NAME"
    : `Start the VM and pull (firebreak workspace pull ${vm.name})`;
  return new FirebreakError(
    "WORKSPACE_NOT_SYNCED",
    `what the VM '${vm.name}' changed in ${what} has not come back to ${record.directory}: ${reason}`,
    { hint: `${remedy}, or give the changes up: firebreak workspace detach ${vm.name}` },
  );
}

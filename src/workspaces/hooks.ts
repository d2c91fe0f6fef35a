import type { WorkspaceReport } from "../contract/workspace.ts";
import { type FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { WorkspaceHooks } from "../vms/ports.ts";
import { isCopy, notSynced } from "./record.ts";
import type { WorkspaceService } from "./service.ts";

/** What the life of a VM does with its workspace. */
export function createWorkspaceHooks(
  workspaces: WorkspaceService,
  log: (message: string, fields: Record<string, unknown>) => void,
): WorkspaceHooks {
  const automaticOf = (vmId: string) =>
    workspaces.recordsOf(vmId).filter(({ isAutomatic, endedAt }) => isAutomatic && endedAt === undefined);
  return {
    resolve: (directory) => workspaces.resolve(directory),
    declare: (vm, spec) => workspaces.declare(vm, spec),
    isAutomatic: (vmId) => workspaces.isAutomatic(vmId),
    push: async (vm, client, options) => {
      const reports: WorkspaceReport[] = [];
      for (const record of automaticOf(vm.id)) {
        // What a copy's VM has is got from it after a crash, with nobody there who would see what is missing.
        const settings = { ...options, isDurable: isCopy(record) };
        reports.push(await workspaces.push({ id: record.id, name: vm.name }, client, {}, settings));
      }
      return reports;
    },
    pull: async (vm, client, { isRequired, isEphemeral, isFinal = true, ...options }) => {
      const records = automaticOf(vm.id).filter(({ readOnly, state }) => !readOnly && state !== "new");
      if (client === undefined) {
        if (isRequired) workspaces.requireSynced(vm);
        return [];
      }
      const reports: WorkspaceReport[] = [];
      let failure: FirebreakError | undefined;
      for (const record of records) {
        try {
          // Nobody asks a copy's VM about a conflict: it is there for a program, and goes.
          const request = isEphemeral || isCopy(record) ? { resolve: "keep-both" as const } : {};
          const own = { id: record.id, name: vm.name };
          const report = await workspaces.pull(own, client, request, { ...options, isFinal });
          reports.push(report);
          const left = report.resolution === undefined ? report.conflicts : [];
          if (isRequired && left.length > 0)
            throw notSynced(
              vm,
              record,
              `both have changed ${left
                .slice(0, 5)
                .map(({ path }) => path)
                .join(", ")}`,
            );
        } catch (error) {
          const known = toFirebreakError(error);
          // What hinders one of them does not keep the others from coming back.
          if (isRequired) {
            failure ??= known.code === "WORKSPACE_NOT_SYNCED" ? known : notSynced(vm, record, known.message);
            continue;
          }
          // Its disk keeps what has not come back, and the workspace says why.
          log("a workspace was not pulled", { vm: vm.name, error: known.message });
          options.onProgress?.({ step: "pull", message: `the workspace was not pulled: ${known.message}` });
        }
      }
      if (failure !== undefined) throw failure;
      return reports;
    },
    forget: (vmId, keepsReport) => workspaces.forget(vmId, keepsReport),
  };
}

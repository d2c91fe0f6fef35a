import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { WorkspaceHooks } from "../vms/ports.ts";
import { notSynced } from "./record.ts";
import type { WorkspaceService } from "./service.ts";

/** What the life of a VM does with its workspace. */
export function createWorkspaceHooks(
  workspaces: WorkspaceService,
  log: (message: string, fields: Record<string, unknown>) => void,
): WorkspaceHooks {
  return {
    resolve: (directory) => workspaces.resolve(directory),
    declare: (vm, spec) => workspaces.declare(vm, spec),
    isAutomatic: (vmId) => workspaces.isAutomatic(vmId),
    push: (vm, client, options) => workspaces.push(vm, client, {}, options),
    pull: async (vm, client, { isRequired, isEphemeral, ...options }) => {
      const record = workspaces.record(vm.id);
      if (record === undefined || record.readOnly || record.state === "new") return undefined;
      if (client === undefined) {
        if (isRequired) workspaces.requireSynced(vm);
        return undefined;
      }
      try {
        const request = isEphemeral ? { resolve: "keep-both" as const } : {};
        const report = await workspaces.pull(vm, client, request, { ...options, isFinal: true });
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
        return report;
      } catch (error) {
        if (isRequired) {
          const known = toFirebreakError(error);
          throw known.code === "WORKSPACE_NOT_SYNCED" ? known : notSynced(vm, record, known.message);
        }
        // Its disk keeps what has not come back, and the workspace says why.
        log("a workspace was not pulled", { vm: vm.name, error: toFirebreakError(error).message });
        options.onProgress?.({
          step: "pull",
          message: `the workspace was not pulled: ${toFirebreakError(error).message}`,
        });
        return undefined;
      }
    },
    forget: (vmId, keepsReport) => workspaces.forget(vmId, keepsReport),
  };
}

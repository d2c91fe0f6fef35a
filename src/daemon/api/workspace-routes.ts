import { backupRestoreSchema, workspacePullSchema, workspacePushSchema } from "../../contract/workspace.ts";
import type { VmService } from "../../vms/service.ts";
import type { WorkspaceService } from "../../workspaces/service.ts";
import { requireLocal } from "./caller.ts";
import { type Api, type ApiContext, readJson } from "./context.ts";
import { answerProgress, parseRequest } from "./responses.ts";

export interface WorkspaceDeps {
  vms: VmService;
  workspaces: WorkspaceService;
}

/** Workspaces read and write directories of this host: whatever does is for callers on the UNIX socket, whom they belong to. */
export function addWorkspaceRoutes(api: Api, { vms, workspaces }: WorkspaceDeps): void {
  const local = (context: ApiContext) => {
    requireLocal(context);
    return context;
  };
  const vmOf = (context: ApiContext) => vms.get(context.req.param("vm") ?? "");

  api.get("/v1/workspaces", (context) => context.json({ workspaces: workspaces.list(vms.list()) }));
  api.get("/v1/vms/:vm/workspace", (context) => context.json(workspaces.get(vmOf(context))));
  api.delete("/v1/vms/:vm/workspace", async (context) => {
    const vm = vmOf(local(context));
    await workspaces.detach(vm);
    return context.json({ detached: vm.name, id: vm.id });
  });
  api.post("/v1/vms/:vm/workspace/push", async (context) => {
    const vm = vmOf(local(context));
    const request = parseRequest(workspacePushSchema, await readJson(context));
    return answerProgress(context, (options) =>
      vms.use(vm.id, options, ({ client }) => workspaces.push(vm, client, request, options)),
    );
  });
  api.post("/v1/vms/:vm/workspace/pull", async (context) => {
    const vm = vmOf(local(context));
    const request = parseRequest(workspacePullSchema, await readJson(context));
    return answerProgress(context, (options) =>
      vms.use(vm.id, options, ({ client }) => workspaces.pull(vm, client, request, options)),
    );
  });
  api.post("/v1/vms/:vm/workspace/status", (context) => {
    const vm = vmOf(local(context));
    workspaces.get(vm);
    return answerProgress(context, (options) =>
      vms.use(vm.id, options, ({ client }) => workspaces.status(vms.get(vm.id), client, options)),
    );
  });
  api.get("/v1/backups", (context) => context.json({ backups: workspaces.listBackups() }));
  api.post("/v1/backups/:backup/restore", async (context) => {
    const id = local(context).req.param("backup") ?? "";
    const { directory } = parseRequest(backupRestoreSchema, await readJson(context));
    return answerProgress(context, (options) => workspaces.restore(id, directory, options));
  });
  api.delete("/v1/backups/:backup", async (context) => {
    const { id } = await workspaces.deleteBackup(local(context).req.param("backup") ?? "");
    return context.json({ deleted: id });
  });
}

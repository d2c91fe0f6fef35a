import {
  forkSchema,
  pruneSchema,
  snapshotCreateSchema,
  type Template,
  type TemplateCreateParsed,
  templateCreateSchema,
} from "../../contract/snapshot.ts";
import type { WorkOptions } from "../../vms/ports.ts";
import type { VmService } from "../../vms/service.ts";
import type { VmSnapshots } from "../../vms/snapshots.ts";
import { requireLocal } from "./caller.ts";
import { type Api, readJson } from "./context.ts";
import { answerProgress, parseRequest } from "./responses.ts";

export interface SnapshotDeps {
  vms: VmService;
  snapshots: VmSnapshots;
  templates: {
    list: () => Promise<Template[]>;
    create: (kind: TemplateCreateParsed, options: WorkOptions) => Promise<Template>;
    /** Throws TEMPLATE_NOT_FOUND. */
    get: (id: string) => Promise<Template>;
    delete: (id: string) => Promise<void>;
    prune: (all: boolean) => Promise<Template[]>;
  };
}

/** Snapshots of VMs, what is made of them, and the templates that all VMs are forked from. */
export function addSnapshotRoutes(api: Api, { vms, snapshots, templates }: SnapshotDeps): void {
  api.get("/v1/snapshots", async (context) => context.json({ snapshots: await snapshots.list() }));
  api.get("/v1/snapshots/:snapshot", async (context) => {
    const name = context.req.param("snapshot");
    return context.json({ ...(await snapshots.get(name)), ancestors: await snapshots.ancestors(name) });
  });
  api.delete("/v1/snapshots/:snapshot", async (context) => {
    const deleted = await snapshots.delete(context.req.param("snapshot"));
    return context.json({ deleted: deleted.name, id: deleted.id });
  });
  api.post("/v1/snapshots/:snapshot/fork", async (context) => {
    const { id } = await snapshots.get(context.req.param("snapshot"));
    const request = parseRequest(forkSchema, await readJson(context));
    if ((request.mounts ?? []).length > 0) requireLocal(context);
    return answerProgress(context, (options) => snapshots.fork(id, request, options));
  });
  api.post("/v1/snapshots/:snapshot/restore", async (context) => {
    const { id } = await snapshots.get(context.req.param("snapshot"));
    return answerProgress(context, (options) => snapshots.restore(id, options));
  });
  api.post("/v1/vms/:vm/snapshots", async (context) => {
    const { id } = vms.get(context.req.param("vm"));
    const { name } = parseRequest(snapshotCreateSchema, await readJson(context));
    return answerProgress(context, (options) => snapshots.create(id, name, options));
  });
  api.post("/v1/vms/:vm/fork", async (context) => {
    const { id } = vms.get(context.req.param("vm"));
    const request = parseRequest(forkSchema, await readJson(context));
    if ((request.mounts ?? []).length > 0) requireLocal(context);
    return answerProgress(context, (options) => snapshots.forkVm(id, request, options));
  });
  api.post("/v1/vms/:vm/pause", async (context) => context.json(await vms.pause(context.req.param("vm"))));
  api.post("/v1/vms/:vm/resume", async (context) => context.json(await vms.resume(context.req.param("vm"))));
  api.post("/v1/vms/:vm/suspend", (context) => {
    const { id } = vms.get(context.req.param("vm"));
    return answerProgress(context, (options) => vms.suspend(id, options));
  });
  api.get("/v1/templates", async (context) => context.json({ templates: await templates.list() }));
  api.get("/v1/templates/:id", async (context) => context.json(await templates.get(context.req.param("id"))));
  api.post("/v1/templates", async (context) => {
    const kind = parseRequest(templateCreateSchema, await readJson(context));
    return answerProgress(context, (options) => templates.create(kind, options));
  });
  api.post("/v1/templates/prune", async (context) => {
    const { all } = parseRequest(pruneSchema, await readJson(context));
    return context.json({ pruned: await templates.prune(all ?? false) });
  });
  api.delete("/v1/templates/:id", async (context) => {
    const id = context.req.param("id");
    await templates.delete(id);
    return context.json({ deleted: id });
  });
}

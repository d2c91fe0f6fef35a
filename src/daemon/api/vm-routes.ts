import { vmPublishSchema } from "../../contract/forward.ts";
import { planSchema, startSchema, stopSchema, vmUpdateSchema, waitSchema } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ForwardService } from "../../forwards/service.ts";
import { readBoundedLog } from "../../platform/bounded-log.ts";
import type { VmService } from "../../vms/service.ts";
import { requireLocal, requireLocalForOpenPorts } from "./caller.ts";
import { sendConsoleEvents, sendConsoleText } from "./console-stream.ts";
import { type Api, answerRaw, readJson } from "./context.ts";
import { answerLines, answerProgress, parseRequest } from "./responses.ts";

export interface VmDeps {
  vms: VmService;
  forwards: ForwardService;
}

/** How long a guest gets to shut down in order, unless the caller says otherwise. */
const DEFAULT_STOP_GRACE_MS = 5_000;

export function addVmRoutes(api: Api, { vms, forwards }: VmDeps): void {
  api.get("/v1/vms", (context) => {
    const wanted = parseLabels(context.req.queries("label") ?? []);
    return context.json({ vms: vms.list().filter(({ labels }) => wanted.every((isThere) => isThere(labels))) });
  });
  api.post("/v1/vms", async (context) => {
    const { publish = [], ...request } = parseRequest(vmPublishSchema, await readJson(context));
    if (request.workspace !== undefined || request.mounts.length > 0) requireLocal(context);
    requireLocalForOpenPorts(context, publish);
    return answerProgress(context, (options) => forwards.publish(publish, () => vms.create(request, options)));
  });
  api.get("/v1/vms/:vm", (context) => context.json(vms.get(context.req.param("vm"))));
  api.patch("/v1/vms/:vm", async (context) => {
    const { id } = vms.get(context.req.param("vm"));
    return context.json(vms.update(id, parseRequest(vmUpdateSchema, await readJson(context))));
  });
  api.get("/v1/vms/:vm/stats", async (context) => context.json(await vms.stats(context.req.param("vm"))));
  api.post("/v1/vms/:vm/wait", async (context) => {
    const { id } = vms.get(context.req.param("vm"));
    const { for: states, timeoutMs } = parseRequest(waitSchema, await readJson(context));
    return answerProgress(context, ({ signal }) => vms.wait(id, states, { timeoutMs, signal }));
  });
  api.post("/v1/vms/:vm/start", async (context) => {
    const name = context.req.param("vm");
    vms.get(name);
    const { admissionWaitMs } = parseRequest(startSchema, await readJson(context));
    return answerProgress(context, (options) => vms.start(name, { ...options, admissionWaitMs }));
  });
  api.post("/v1/vms/:vm/stop", async (context) => {
    const name = context.req.param("vm");
    vms.get(name);
    const body = parseRequest(stopSchema, await readJson(context));
    const graceMs = body.force ? 0 : (body.graceMs ?? DEFAULT_STOP_GRACE_MS);
    return answerRaw(context, (_incoming, outgoing) =>
      answerLines(outgoing, (onProgress) => vms.stop(name, graceMs, { onProgress })),
    );
  });
  api.delete("/v1/vms/:vm", async (context) => {
    const vm = vms.get(context.req.param("vm"));
    await vms.delete(vm.id);
    return context.json({ deleted: vm.name, id: vm.id });
  });
  api.post("/v1/vms/:vm/plan", async (context) => {
    const { state, graceMs = DEFAULT_STOP_GRACE_MS } = parseRequest(planSchema, await readJson(context));
    const target = state === "stopped" ? { state, graceMs } : { state };
    return context.json(await vms.plan(context.req.param("vm"), target));
  });
  api.get("/v1/vms/:vm/logs", (context) => {
    const name = context.req.param("vm");
    const path = vms.consoleLogPath(name);
    const stream = context.req.query("stream");
    if (stream !== undefined && stream !== "sse")
      throw new FirebreakError("INVALID_ARGUMENT", `stream: '${stream}' is not sse`);
    const isStream = stream === "sse" || (context.req.header("accept") ?? "").includes("text/event-stream");
    const wantsMore = context.req.query("follow");
    const follow = wantsMore === "true" || (isStream && wantsMore !== "false");
    const live = follow && vms.get(name).state === "running" ? vms.live(name) : undefined;
    const send = isStream ? sendConsoleEvents : sendConsoleText;
    return answerRaw(context, (_incoming, outgoing) => send(outgoing, readBoundedLog(path), live));
  });
}

/** `KEY=VALUE`, or `KEY` for any value: all have to hold. */
function parseLabels(wanted: string[]): ((labels: Record<string, string>) => boolean)[] {
  return wanted.map((label) => {
    const at = label.indexOf("=");
    const key = at < 0 ? label : label.slice(0, at);
    if (key === "") throw new FirebreakError("INVALID_ARGUMENT", `label: '${label}' is not KEY=VALUE or KEY`);
    return (labels) => Object.hasOwn(labels, key) && (at < 0 || labels[key] === label.slice(at + 1));
  });
}

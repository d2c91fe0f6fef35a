import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { DEFAULT_EVENT_PAGE, type EventPage, MAX_EVENT_PAGE, type VmEvent } from "../../contract/event.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { VmService } from "../../vms/service.ts";
import { type Api, type ApiContext, answerRaw } from "./context.ts";
import { parseCount, signalOfCaller } from "./responses.ts";
import type { VmDeps } from "./vm-routes.ts";

/** A follower that hears nothing else hears this, ms: it finds out that the connection is gone, and so do we. */
const KEEPALIVE_MS = 15_000;
const FOLLOW_PAGE = 500;

/** The history of all VMs, or of one, also of one that has been deleted (by its id). */
export function addEventRoutes(api: Api, { vms }: VmDeps): void {
  const answer = async (context: ApiContext, vm: string | undefined): Promise<Response> => {
    const isStream = (context.req.header("accept") ?? "").includes("text/event-stream");
    const after = context.req.query("after") ?? (isStream ? context.req.header("last-event-id") : undefined);
    const afterId = parseCount(after, "after");
    const vmId = vm === undefined ? undefined : idOf(vms, vm);
    if (isStream || context.req.query("follow") === "true")
      return answerRaw(context, (_incoming, outgoing) => follow(outgoing, vms, vmId, afterId ?? 0, isStream));
    const limit = parseCount(context.req.query("limit"), "limit") ?? DEFAULT_EVENT_PAGE;
    if (limit < 1 || limit > MAX_EVENT_PAGE)
      throw new FirebreakError("INVALID_ARGUMENT", `limit: 1 to ${MAX_EVENT_PAGE}`);
    // The newest have none after them.
    const events = vms.events({ vm: vmId, afterId, limit: afterId === undefined ? limit : limit + 1 });
    const page: EventPage = { events: events.slice(0, limit), more: events.length > limit };
    return context.json(page);
  };
  api.get("/v1/events", (context) => answer(context, context.req.query("vm")));
  api.get("/v1/vms/:vm/events", (context) => answer(context, context.req.param("vm")));
}

/** The id of a VM that is there; that of one that has been deleted is taken as it is. Throws VM_NOT_FOUND. */
function idOf(vms: VmService, vm: string): string {
  const [first] = vms.events({ vm, limit: 1 });
  return first === undefined ? vms.get(vm).id : first.vmId;
}

/**
 * Each event once and in order, those that are there and those that come. They are read from the store as fast as the follower takes
 * them: one that is slow costs no memory and misses nothing.
 */
async function follow(
  outgoing: ServerResponse,
  vms: VmService,
  vm: string | undefined,
  afterId: number,
  isStream: boolean,
): Promise<void> {
  const signal = signalOfCaller(outgoing);
  outgoing.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/x-ndjson" });
  outgoing.flushHeaders();
  const format = (event: VmEvent) =>
    isStream
      ? `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`
      : `${JSON.stringify({ event })}\n`;
  const keepalive = setInterval(() => outgoing.write(isStream ? ":\n\n" : "\n"), KEEPALIVE_MS);
  let wake = Promise.withResolvers<void>();
  const stop = vms.onEvent(() => wake.resolve());
  signal.addEventListener("abort", () => wake.resolve(), { once: true });
  let last = afterId;
  try {
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const events = vms.events({ vm, afterId: last, limit: FOLLOW_PAGE });
      for (const event of events) {
        last = event.id;
        const isLast = vm !== undefined && event.kind === "deleted";
        if (!outgoing.write(format(event))) await once(outgoing, "drain", { signal }).catch(() => {});
        // A VM that is gone has no more history.
        if (isLast) return;
      }
      if (events.length === 0) await wake.promise;
    }
  } finally {
    stop();
    clearInterval(keepalive);
    outgoing.end();
  }
}

import type { ServerResponse } from "node:http";
import {
  DEFAULT_EGRESS_PAGE,
  type EgressEvent,
  type EgressPage,
  MAX_EGRESS_PAGE,
  vmPolicySetSchema,
} from "../../contract/egress.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { NetworkService } from "../../network/service.ts";
import { type Api, answerRaw, readJson } from "./context.ts";
import { answerProgress, parseCount, parseRequest, signalOfCaller } from "./responses.ts";
import type { VmDeps } from "./vm-routes.ts";

const KEEPALIVE_MS = 15_000;
/** What may wait for a follower that is slow, bytes; what comes on top of it is counted. */
const MAX_WAITING_BYTES = 1024 * 1024;

export interface EgressDeps {
  network: NetworkService;
}

export function addEgressRoutes(api: Api, { vms, network }: EgressDeps & VmDeps): void {
  // A VM that has been deleted is known by what it has tried.
  const idOf = (vm: string): string => {
    const found = vms.list().find(({ id, name }) => id === vm || name === vm);
    return found?.id ?? (network.events({ vmId: vm, limit: 1 }).length > 0 ? vm : vms.get(vm).id);
  };
  api.get("/v1/egress", async (context): Promise<Response> => {
    const vm = context.req.query("vm");
    const vmId = vm === undefined ? undefined : idOf(vm);
    const afterId = parseCount(context.req.query("after"), "after");
    const limit = parseCount(context.req.query("limit"), "limit") ?? DEFAULT_EGRESS_PAGE;
    if (limit < 1 || limit > MAX_EGRESS_PAGE)
      throw new FirebreakError("INVALID_ARGUMENT", `limit: 1 to ${MAX_EGRESS_PAGE}`);
    if (context.req.query("follow") === "true")
      return answerRaw(context, (_incoming, outgoing) => follow(outgoing, network, vmId, afterId));
    const events = network.events({ vmId, afterId, limit: afterId === undefined ? limit : limit + 1 });
    const page: EgressPage = { events: events.slice(0, limit), more: events.length > limit };
    return context.json(page);
  });
  api.get("/v1/vms/:vm/policy", (context) => {
    const { name, network: policy, secrets } = vms.get(context.req.param("vm"));
    return context.json({ vm: name, policy, secrets, warnings: network.warningsOf(policy, secrets) });
  });
  api.post("/v1/vms/:vm/probe", (context) => {
    const { id } = vms.requireUsable(context.req.param("vm"));
    return answerProgress(context, ({ onProgress, ...options }) =>
      vms.use(id, options, ({ client }) =>
        network.probe(vms.networkOf(id), client, (message) => onProgress?.({ step: "probe", message })),
      ),
    );
  });
  api.put("/v1/vms/:vm/policy", async (context) => {
    const { id } = vms.get(context.req.param("vm"));
    const { secrets, ...policy } = parseRequest(vmPolicySetSchema, await readJson(context));
    return context.json(await vms.setPolicy(id, policy, secrets));
  });
}

/** Those that are there after an event, and each that comes. */
async function follow(
  outgoing: ServerResponse,
  network: NetworkService,
  vmId: string | undefined,
  afterId: number | undefined,
): Promise<void> {
  const signal = signalOfCaller(outgoing);
  outgoing.writeHead(200, { "content-type": "application/x-ndjson" });
  outgoing.flushHeaders();
  let skipped = 0;
  const send = (event: EgressEvent) => {
    if (outgoing.writableLength > MAX_WAITING_BYTES) {
      skipped++;
      return;
    }
    if (skipped > 0) outgoing.write(`${JSON.stringify({ skipped })}\n`);
    skipped = 0;
    outgoing.write(`${JSON.stringify({ event })}\n`);
  };
  // Both at once, in one turn of the loop: nothing comes in between.
  if (afterId !== undefined) for (const event of network.events({ vmId, afterId, limit: MAX_EGRESS_PAGE })) send(event);
  const stop = network.log.follow((event) => {
    if (vmId === undefined || event.vm.id === vmId) send(event);
  });
  const keepalive = setInterval(() => outgoing.write("\n"), KEEPALIVE_MS);
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  stop();
  clearInterval(keepalive);
  outgoing.end();
}

import { forwardCreateSchema } from "../../contract/forward.ts";
import type { ForwardService } from "../../forwards/service.ts";
import type { VmService } from "../../vms/service.ts";
import { requireLocalForOpenPorts } from "./caller.ts";
import { type Api, readJson } from "./context.ts";
import { parseRequest } from "./responses.ts";

export interface ForwardDeps {
  vms: VmService;
  forwards: ForwardService;
}

export function addForwardRoutes(api: Api, { forwards }: ForwardDeps): void {
  api.get("/v1/forwards", (context) => context.json({ forwards: forwards.list() }));
  api.get("/v1/vms/:vm/forwards", (context) => context.json({ forwards: forwards.list(context.req.param("vm")) }));
  api.post("/v1/vms/:vm/forwards", async (context) => {
    const request = parseRequest(forwardCreateSchema, await readJson(context));
    requireLocalForOpenPorts(context, [request]);
    return context.json(await forwards.create(context.req.param("vm"), request), 201);
  });
  api.get("/v1/forwards/:forward", (context) => context.json(forwards.get(context.req.param("forward"))));
  api.delete("/v1/forwards/:forward", async (context) => {
    const { id } = await forwards.delete(context.req.param("forward"));
    return context.json({ deleted: id });
  });
}

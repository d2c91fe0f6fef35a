import { natSetupSchema } from "../../contract/nat.ts";
import type { NatService } from "../../network/nat/service.ts";
import { requireLocal } from "./caller.ts";
import { type Api, readJson } from "./context.ts";
import { parseRequest } from "./responses.ts";

export interface NatDeps {
  nat: NatService;
}

export function addNatRoutes(api: Api, { nat }: NatDeps): void {
  api.get("/v1/network", async (context) => context.json(await nat.status()));
  api.put("/v1/network", async (context) => {
    requireLocal(context);
    return context.json(await nat.setup(parseRequest(natSetupSchema, await readJson(context))));
  });
  api.delete("/v1/network", async (context) => {
    requireLocal(context);
    await nat.teardown();
    return context.json(await nat.status());
  });
}

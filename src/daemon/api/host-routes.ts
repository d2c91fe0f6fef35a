import type { HostInfo, Prices } from "../../contract/host.ts";
import type { Api } from "./context.ts";

export interface HostDeps {
  host: {
    info(): Promise<HostInfo>;
    /** Throws CONFIG_INVALID or PRICES_NOT_SET. */
    prices(): Promise<Prices>;
  };
}

export function addHostRoutes(api: Api, deps: HostDeps): void {
  api.get("/v1/host", async (context) => context.json(await deps.host.info()));
  api.get("/v1/prices", async (context) => context.json(await deps.host.prices()));
}

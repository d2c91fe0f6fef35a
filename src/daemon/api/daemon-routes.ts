import { type DaemonStatus, type DoctorCheck, type ShutdownRequest, shutdownSchema } from "../../contract/daemon.ts";
import { type ListenRequest, type ListenStatus, listenSchema } from "../../contract/listen.ts";
import { requireLocal } from "./caller.ts";
import { type Api, readJson } from "./context.ts";
import { parseRequest } from "./responses.ts";

export interface DaemonDeps {
  status: () => DaemonStatus;
  doctor: () => Promise<DoctorCheck[]>;
  /** Ends the daemon after the answer; VMs go on. */
  shutdown: (request: ShutdownRequest) => void;
  /** Removes what no VM owns; returns what that was. */
  removeStrays: () => Promise<string[]>;
  tcp: {
    listen: (request: ListenRequest) => Promise<ListenStatus>;
    unlisten: () => Promise<void>;
  };
}

export function addDaemonRoutes(api: Api, deps: DaemonDeps): void {
  api.get("/v1/status", (context) => context.json(deps.status()));
  api.get("/v1/doctor", async (context) => context.json({ checks: await deps.doctor() }));
  api.post("/v1/doctor/fix", async (context) => context.json({ removed: await deps.removeStrays() }));
  // Described when somebody asks: the description is of no use to anybody else, and is not small.
  api.get("/v1/openapi.json", async (context) => {
    const { describeApi } = await import("../../contract/openapi.ts");
    return context.json(describeApi(deps.status().version));
  });
  api.post("/v1/shutdown", async (context) => {
    requireLocal(context);
    deps.shutdown(parseRequest(shutdownSchema, await readJson(context)));
    return context.json({ pid: process.pid }, 202);
  });
  api.put("/v1/listen", async (context) => {
    requireLocal(context);
    return context.json(await deps.tcp.listen(parseRequest(listenSchema, await readJson(context))));
  });
  api.delete("/v1/listen", async (context) => {
    requireLocal(context);
    await deps.tcp.unlisten();
    return context.body(null, 204);
  });
}

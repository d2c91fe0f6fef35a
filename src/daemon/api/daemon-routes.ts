import type { DaemonStatus, DoctorCheck } from "../../contract/daemon.ts";
import type { Api } from "./context.ts";

export interface DaemonDeps {
  status: () => DaemonStatus;
  doctor: () => Promise<DoctorCheck[]>;
  /** Ends the daemon after the answer; VMs go on. */
  shutdown: () => void;
}

export function addDaemonRoutes(api: Api, deps: DaemonDeps): void {
  api.get("/v1/status", (context) => context.json(deps.status()));
  api.get("/v1/doctor", async (context) => context.json({ checks: await deps.doctor() }));
  api.post("/v1/shutdown", (context) => {
    deps.shutdown();
    return context.json({ pid: process.pid }, 202);
  });
}

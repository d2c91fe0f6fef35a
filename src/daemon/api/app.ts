import { Hono } from "hono";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { type ArtifactDeps, addArtifactRoutes } from "./artifact-routes.ts";
import { type AuditDeps, addAuditRoutes } from "./audit-routes.ts";
import { addCallRoutes, type CallDeps } from "./call-routes.ts";
import type { Api, ApiEnv } from "./context.ts";
import { addDaemonRoutes, type DaemonDeps } from "./daemon-routes.ts";
import { addDriveRoutes, type DriveDeps } from "./drive-routes.ts";
import { addEgressRoutes, type EgressDeps } from "./egress-routes.ts";
import { addEventRoutes } from "./event-routes.ts";
import { addExecRoutes } from "./exec-routes.ts";
import { addFileRoutes } from "./file-routes.ts";
import { addForwardRoutes, type ForwardDeps } from "./forward-routes.ts";
import { addHostRoutes, type HostDeps } from "./host-routes.ts";
import { answerOnce } from "./idempotency.ts";
import { addImageRoutes, type ImageDeps } from "./image-routes.ts";
import { addKernelRoutes, type KernelDeps } from "./kernel-routes.ts";
import { addKeyRoutes, type KeyDeps } from "./key-routes.ts";
import { addMcpRoutes, type McpDeps } from "./mcp-routes.ts";
import { addMetricRoutes, type MetricDeps } from "./metric-routes.ts";
import { addNatRoutes, type NatDeps } from "./nat-routes.ts";
import { checkQuery } from "./query-check.ts";
import { addSecretRoutes, type SecretDeps } from "./secret-routes.ts";
import { addServerRoutes, type ServerDeps } from "./server-routes.ts";
import { addSessionRoutes, type SessionDeps } from "./session-routes.ts";
import { addSnapshotRoutes, type SnapshotDeps } from "./snapshot-routes.ts";
import { addTaskRoutes, type TaskDeps } from "./task-routes.ts";
import { addVmRoutes, type VmDeps } from "./vm-routes.ts";
import { addVolumeRoutes } from "./volume-routes.ts";
import { addWorkspaceRoutes, type WorkspaceDeps } from "./workspace-routes.ts";

export interface ApiDeps
  extends VmDeps,
    ImageDeps,
    KernelDeps,
    SnapshotDeps,
    DriveDeps,
    ForwardDeps,
    KeyDeps,
    SessionDeps,
    CallDeps,
    AuditDeps,
    HostDeps,
    EgressDeps,
    NatDeps,
    SecretDeps,
    McpDeps,
    MetricDeps,
    ServerDeps,
    TaskDeps,
    WorkspaceDeps,
    ArtifactDeps,
    DaemonDeps {
  log: (message: string, fields: Record<string, unknown>) => void;
}

/**
 * The HTTP API of the daemon; src/contract/routes lists its requests. Requests over TCP have been checked before they get here, whatever is mounted:
 * `context.env.caller` says who makes them.
 */
export function createApi(deps: ApiDeps): Api {
  const api: Api = new Hono<ApiEnv>();
  api.use(async (context, next) => {
    await checkQuery(context);
    await next();
  });
  api.use((context, next) => answerOnce(context, next, deps));
  addDaemonRoutes(api, deps);
  addImageRoutes(api, deps);
  addKernelRoutes(api, deps);
  addVmRoutes(api, deps);
  addEventRoutes(api, deps);
  addEgressRoutes(api, deps);
  addNatRoutes(api, deps);
  addSecretRoutes(api, deps);
  addExecRoutes(api, deps);
  addFileRoutes(api, deps);
  addSnapshotRoutes(api, deps);
  addDriveRoutes(api, deps);
  addVolumeRoutes(api, deps);
  addForwardRoutes(api, deps);
  addKeyRoutes(api, deps);
  addSessionRoutes(api, deps);
  addCallRoutes(api, deps);
  addAuditRoutes(api, deps);
  addHostRoutes(api, deps);
  addMcpRoutes(api, deps);
  addMetricRoutes(api, deps);
  addServerRoutes(api, deps);
  addTaskRoutes(api, deps);
  addWorkspaceRoutes(api, deps);
  addArtifactRoutes(api, deps);
  api.notFound((context) => {
    const error = new FirebreakError("ROUTE_NOT_FOUND", `the API has no ${context.req.method} ${context.req.path}`);
    return answerError(error);
  });
  api.onError((thrown, context) => {
    const error = toFirebreakError(thrown);
    if (error.code === "INTERNAL")
      deps.log("a request failed", { path: context.req.path, error: thrown.stack ?? thrown.message });
    return answerError(error);
  });
  return api;
}

function answerError(error: FirebreakError): Response {
  return Response.json({ error: error.toBody() }, { status: error.httpStatus });
}

import { artifactRoutes } from "./artifact.ts";
import { auditRoutes } from "./audit.ts";
import { callRoutes } from "./call.ts";
import { daemonRoutes } from "./daemon.ts";
import { driveRoutes } from "./drive.ts";
import { egressRoutes } from "./egress.ts";
import { eventRoutes } from "./event.ts";
import { execRoutes } from "./exec.ts";
import { fileRoutes } from "./file.ts";
import { forwardRoutes } from "./forward.ts";
import { hostRoutes } from "./host.ts";
import { imageRoutes } from "./image.ts";
import { kernelRoutes } from "./kernel.ts";
import { keyRoutes } from "./key.ts";
import { natRoutes } from "./nat.ts";
import type { Route } from "./route.ts";
import { secretRoutes } from "./secret.ts";
import { serverRoutes } from "./server.ts";
import { sessionRoutes } from "./session.ts";
import { snapshotRoutes } from "./snapshot.ts";
import { taskRoutes } from "./task.ts";
import { vmRoutes } from "./vm.ts";
import { volumeRoutes } from "./volume.ts";
import { workspaceRoutes } from "./workspace.ts";

/** All requests that the API answers, by noun: one group for each of the daemon's `<noun>-routes.ts`. */
export const ROUTES: Readonly<Record<string, readonly Route[]>> = {
  daemon: daemonRoutes,
  vm: vmRoutes,
  exec: execRoutes,
  file: fileRoutes,
  event: eventRoutes,
  egress: egressRoutes,
  network: natRoutes,
  secret: secretRoutes,
  snapshot: snapshotRoutes,
  drive: driveRoutes,
  volume: volumeRoutes,
  forward: forwardRoutes,
  image: imageRoutes,
  kernel: kernelRoutes,
  key: keyRoutes,
  session: sessionRoutes,
  call: callRoutes,
  audit: auditRoutes,
  workspace: workspaceRoutes,
  artifact: artifactRoutes,
  host: hostRoutes,
  server: serverRoutes,
  task: taskRoutes,
};

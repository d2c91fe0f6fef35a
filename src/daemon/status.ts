import { API_VERSION } from "../contract/api-version.ts";
import type { DaemonStatus } from "../contract/daemon.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { VmService } from "../vms/service.ts";
import type { TcpFront } from "./tcp-front.ts";

/** Where it listens besides its socket, if anywhere. */
export function listenStatusOf(tcp: TcpFront): Pick<DaemonStatus, "listen"> {
  const status = tcp.status();
  return status === undefined ? {} : { listen: status };
}

/** How a daemon stands, as `GET /v1/status` tells it. */
export function daemonStatus(paths: FirebreakPaths, vms: VmService, startedAt: string, version: string): DaemonStatus {
  const list = vms.list();
  return {
    version,
    apiVersion: API_VERSION,
    pid: process.pid,
    startedAt,
    home: paths.home,
    socket: paths.socket,
    vms: { total: list.length, running: list.filter((vm) => vm.state === "running").length },
    rssBytes: process.memoryUsage.rss(),
  };
}

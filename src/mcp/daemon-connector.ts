import { DaemonClient } from "../client/daemon-client.ts";
import { ensureDaemon } from "../client/ensure-daemon.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { VmClient } from "./vm-client.ts";

/**
 * A function that reaches the daemon and starts one when none answers: also one that has ended since the last call. Nothing is
 * looked at before the first call, so that a server can say what it offers where no daemon can run.
 */
export function createDaemonConnector(resolve: () => FirebreakPaths): () => Promise<VmClient> {
  let underWay: Promise<VmClient> | undefined;
  const reach = async () => {
    const paths = resolve();
    await ensureDaemon(paths);
    return new DaemonClient(paths.socket);
  };
  return () => {
    underWay ??= reach().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

import { connectDaemon } from "../client/connect.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { VmClient } from "./vm-client.ts";

/**
 * A function that reaches the daemon that FIREBREAK_URL names, or this host's, which it starts when it does not run: also one that has ended since the last call. Nothing is
 * looked at before the first call, so that a server can say what it offers where no daemon can run.
 */
export function createDaemonConnector(resolve: () => FirebreakPaths): () => Promise<VmClient> {
  let underWay: Promise<VmClient> | undefined;
  return () => {
    underWay ??= connectDaemon(resolve).finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

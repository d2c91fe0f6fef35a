import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { DaemonClient } from "./daemon-client.ts";
import type { Endpoint } from "./endpoint.ts";
import { ensureDaemon } from "./ensure-daemon.ts";

/** The daemon on another host that the environment names; undefined when it names none. Throws API_KEY_MISSING or INVALID_ARGUMENT. */
export async function findRemote(env: NodeJS.ProcessEnv = process.env): Promise<Endpoint | undefined> {
  if (!env.FIREBREAK_URL) return undefined;
  if (!env.FIREBREAK_API_KEY) {
    throw new FirebreakError(
      "API_KEY_MISSING",
      "FIREBREAK_URL names a daemon, and FIREBREAK_API_KEY holds no key for it",
      {
        hint: "Make one on the daemon's host: firebreak key create",
      },
    );
  }
  // Loaded by those who need it: TLS takes longer than a request.
  const { RemoteEndpoint } = await import("./remote-endpoint.ts");
  return new RemoteEndpoint(env.FIREBREAK_URL, env.FIREBREAK_API_KEY);
}

/** The daemon that the environment names, or else this host's, whether or not it runs. */
export async function peekDaemon(resolve: () => FirebreakPaths): Promise<DaemonClient> {
  return new DaemonClient((await findRemote()) ?? resolve().socket);
}

/** The daemon that the environment names, or else this host's, which is started when it does not run. */
export async function connectDaemon(resolve: () => FirebreakPaths): Promise<DaemonClient> {
  const remote = await findRemote();
  if (remote !== undefined) return new DaemonClient(remote);
  const paths = resolve();
  await ensureDaemon(paths);
  return new DaemonClient(paths.socket);
}

import type { RemoteServer } from "../../contract/server.ts";
import { type Challenge, readChallenge } from "../oauth/challenge.ts";
import type { Dial } from "./dial.ts";
import { HttpConnections } from "./exchange.ts";
import { resolveTarget, type SecretFor } from "./target.ts";

const TIMEOUT_MS = 30_000;
/** Of no consequence where nobody has to log in. */
const PING = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });

/** What a server says to who has not logged in; undefined where it lets them in. Throws SERVER_FAILED, SECRET_… */
export async function probe(config: RemoteServer, secretFor: SecretFor, dial: Dial): Promise<Challenge | undefined> {
  const connections = new HttpConnections({ server: config.name, dial });
  try {
    const response = await connections.send(resolveTarget(config, secretFor), {
      method: "POST",
      headers: { accept: "application/json, text/event-stream", "content-type": "application/json" },
      body: PING,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    response.destroy();
    return response.statusCode === 401 ? readChallenge(response) : undefined;
  } finally {
    connections.close();
  }
}

import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { checkHost, checkOrigin } from "../../contract/request-origin.ts";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import { createEndpoint } from "../http/create.ts";
import { MemoryMcpSessionStore } from "../http/memory-session-store.ts";
import type { CallOptions } from "../registry.ts";
import type { VmClient } from "../vm-client.ts";
import { createFixtures } from "./fixtures.ts";

export interface ServeFixturesOptions {
  connect: CallOptions["connect"];
  peek: () => Promise<VmClient>;
  version: string;
  stop: AbortSignal;
  /** Called with the endpoint's URL once it serves. */
  onListening: (url: string) => void;
}

/**
 * The daemon's MCP endpoint with the conformance suite's fixtures besides, on a free port of loopback and without API keys, which the suite
 * does not know, until `stop`. Host and Origin are checked as they are over TCP.
 */
export async function serveFixtures({ stop, onListening, ...options }: ServeFixturesOptions): Promise<void> {
  const endpoint = createEndpoint({
    ...options,
    store: new MemoryMcpSessionStore(),
    endingSignal: stop,
    createExtras: (notify) => {
      const fixtures = createFixtures(notify);
      return () => fixtures;
    },
  });
  const server = http.createServer((incoming, outgoing) => {
    try {
      checkHost(incoming.headers.host ?? "", []);
      checkOrigin(incoming.headers.origin, incoming.headers.host ?? "");
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      outgoing.writeHead(error.httpStatus, { "content-type": "application/json" });
      outgoing.end(JSON.stringify({ error: error.toBody() }));
      return;
    }
    void endpoint.handle(incoming, outgoing, "local");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onListening(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
  if (!stop.aborted) await once(stop, "abort");
  await endpoint.close();
  server.closeAllConnections();
  server.close();
}

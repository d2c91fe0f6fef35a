import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Client, type ClientOptions, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createEndpoint } from "../../src/mcp/http/create.ts";
import { MemoryMcpSessionStore } from "../../src/mcp/http/memory-session-store.ts";
import type { McpSessionStore } from "../../src/mcp/http/session-store.ts";
import type { VmClient } from "../../src/mcp/vm-client.ts";

export interface HttpMcp {
  url: URL;
  /** Opens a client's connection; `headers` go with each request. */
  open: (options: ClientOptions, headers?: Record<string, string>) => Promise<Client>;
  close: () => Promise<void>;
}

export interface HttpMcpOptions {
  store?: McpSessionStore;
  port?: number;
  graceMs?: number;
  maxLoaded?: number;
}

/** The endpoint on a port of loopback. The header `x-principal` stands for what authentication finds out. */
export async function serveHttpMcp(client: VmClient, options: HttpMcpOptions = {}): Promise<HttpMcp> {
  const ending = new AbortController();
  const endpoint = createEndpoint({
    store: options.store ?? new MemoryMcpSessionStore(),
    connect: async () => client,
    peek: async () => client,
    version: "0",
    endingSignal: ending.signal,
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    ...(options.maxLoaded === undefined ? {} : { maxLoaded: options.maxLoaded }),
  });
  const server = http.createServer((incoming, outgoing) => {
    void endpoint.handle(incoming, outgoing, String(incoming.headers["x-principal"] ?? "local"));
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/mcp`);
  return {
    url,
    open: async (clientOptions, headers = {}) => {
      const opened = new Client({ name: "test", version: "0" }, clientOptions);
      await opened.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
      return opened;
    },
    close: async () => {
      ending.abort();
      await endpoint.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export const ERAS: { era: string; options: ClientOptions }[] = [
  { era: "2025-11-25", options: {} },
  { era: "2026-07-28", options: { versionNegotiation: { mode: { pin: "2026-07-28" } } } },
];

import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Client, type ClientOptions, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { type ServerConfig, serverConfigSchema } from "../../src/contract/server.ts";
import { dialRemotes } from "../../src/daemon/remote-dial.ts";
import { ServerFront } from "../../src/daemon/server-front.ts";
import { inTraceOf } from "../../src/daemon/trace-request.ts";
import type { Approved, Judge, Judged } from "../../src/gateway/approved.ts";
import type { Login, LoginStore } from "../../src/gateway/oauth/logins.ts";
import type { SecretFor } from "../../src/gateway/remote/target.ts";
import type { ServerRecord } from "../../src/gateway/server-store.ts";
import { Gateway } from "../../src/gateway/service.ts";
import type { Definitions } from "../../src/gateway/upstream/definitions.ts";
import { MemoryMcpSessionStore } from "../../src/mcp/http/memory-session-store.ts";
import type { DialerOptions } from "../../src/network/dial.ts";

export interface GatewayFixture {
  gateway: Gateway;
  /** What servers have said beside the protocol, and what has been logged. */
  logged: string[];
  /** A client of one server's own endpoint; `principal` stands for what authentication finds out. */
  open: (
    server: string,
    options?: ClientOptions,
    principal?: string,
    headers?: Record<string, string>,
  ) => Promise<Client>;
  urlOf: (server: string, kind?: "mcp" | "sse") => URL;
  front: ServerFront;
  close: () => Promise<void>;
}

export class MemoryLogins implements LoginStore {
  readonly kept = new Map<string, Login>();

  get(server: string): Login | undefined {
    return this.kept.get(server);
  }

  put(server: string, login: Login): void {
    this.kept.set(server, login);
  }

  remove(server: string): boolean {
    return this.kept.delete(server);
  }
}

/** A gateway without VMs: servers that run elsewhere, behind endpoints on a port of loopback. */
export async function openGateway(
  servers: Record<string, Partial<Extract<ServerConfig, { kind: "remote" }>>>,
  secretFor: SecretFor = () => {
    throw new Error("there are no secrets");
  },
  { logins = new MemoryLogins(), ...dialing }: { logins?: LoginStore } & Partial<DialerOptions> = {},
): Promise<GatewayFixture> {
  const records = new Map<string, ServerRecord>();
  const logged: string[] = [];
  const log = (message: string, fields: Record<string, unknown>) =>
    void logged.push(JSON.stringify({ message, ...fields }));
  const gateway = new Gateway({
    store: {
      list: () => [...records.values()],
      get: (name) => records.get(name),
      put: (record) => void records.set(record.config.name, record),
      remove: (name) => void records.delete(name),
    },
    // Servers that run elsewhere have no VMs.
    machines: { find: () => [] } as never,
    client: { name: "firebreak", version: "0" },
    // What is offered is approved as it is: it is how servers are reached that is looked at. A class with private fields has no other stand-in.
    pins: { judge: async ({ definitions }: Judged) => approveAll(definitions) } as unknown as Judge,
    audit: { requireWritable: () => {}, record: () => {} },
    secretFor,
    dial: dialRemotes({ env: {}, ...dialing }),
    logins,
    hasSession: () => false,
    writeLog: (server, text) => void logged.push(`${server}: ${text}`),
    log,
  });
  const configs = Object.entries(servers).map(([name, config]) =>
    serverConfigSchema.parse({ name, kind: "remote", ...config }),
  );
  await gateway.apply("/test/firebreak.toml", configs);
  const front = new ServerFront({ gateway, store: new MemoryMcpSessionStore(), log });
  const server = http.createServer((incoming, outgoing) => {
    const [, name = "", kind] = /^\/servers\/([^/]+)\/(\w+)/.exec(incoming.url ?? "") ?? [];
    const id = String(incoming.headers["x-principal"] ?? "local");
    const caller = id === "local" ? ({ via: "socket" } as const) : ({ via: "tcp", key: { id, name: id } } as const);
    void inTraceOf(incoming, () =>
      kind === "sse"
        ? front.handleSse(name, incoming, outgoing, caller)
        : front.handle(name, incoming, outgoing, caller),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const urlOf = (name: string, kind = "mcp") => new URL(`http://127.0.0.1:${port}/servers/${name}/${kind}`);
  return {
    gateway,
    logged,
    front,
    urlOf,
    open: async (name, options = {}, principal = "local", headers = {}) => {
      const client = new Client({ name: "test", version: "0" }, options);
      await client.connect(
        new StreamableHTTPClientTransport(urlOf(name), {
          requestInit: { headers: { ...headers, "x-principal": principal } },
        }),
      );
      return client;
    },
    close: async () => {
      await front.close();
      gateway.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function approveAll({ tools, prompts, resources, resourceTemplates }: Definitions): Approved {
  return {
    tool: new Set(tools.map(({ name }) => name)),
    prompt: new Set(prompts.map(({ name }) => name)),
    resource: new Set(resources.map(({ uri }) => uri)),
    resource_template: new Set(resourceTemplates.map(({ uriTemplate }) => uriTemplate)),
  };
}

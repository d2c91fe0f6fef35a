import {
  type CallToolResult,
  Client,
  type ClientOptions,
  StreamableHTTPClientTransport,
  type Transport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { DaemonFixture } from "../daemon-fixture.ts";

/** How a client reaches the gateway. */
export type Way = "http" | "stdio";

/** Opens a client of one server, or of all of them for the path `/mcp`. */
export type OpenClient = (server: string, options: ClientOptions, way?: Way) => Promise<Client>;

/** Has the daemon listen on loopback, with a key for each principal. */
export async function serveGateway(fixture: DaemonFixture, principal = "one"): Promise<OpenClient> {
  const { key } = await fixture.json<{ key: string }>("key", "create", principal);
  if ((await fixture.client.status()).listen?.url === undefined)
    await fixture.client.listen({ address: "127.0.0.1:0" });
  return async (server, options, way = "http") => {
    const path = server === "" ? "/mcp" : `/servers/${server}/mcp`;
    const transport = way === "http" ? await overHttp(fixture, path, key) : overStdio(fixture, server);
    const client = new Client({ name: "e2e", version: "0" }, options);
    await client.connect(transport, { timeout: 180_000 });
    return client;
  };
}

/** Where the daemon listens is asked each time: one that has been started anew has another port. */
async function overHttp(fixture: DaemonFixture, path: string, key: string): Promise<Transport> {
  const { listen } = await fixture.client.status();
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  return new StreamableHTTPClientTransport(new URL(path, String(listen?.url)), { requestInit });
}

/** Clients over stdio alone, for a daemon that does not listen where the test can reach it. */
export function openServers(fixture: DaemonFixture): OpenClient {
  return async (server, options) => {
    const client = new Client({ name: "e2e", version: "0" }, options);
    await client.connect(overStdio(fixture, server), { timeout: 180_000 });
    return client;
  };
}

function overStdio(fixture: DaemonFixture, server: string): Transport {
  const env = Object.fromEntries(
    Object.entries(fixture.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  const args = server === "" ? ["mcp-bridge"] : ["mcp", "run", server];
  return new StdioClientTransport({ command: fixture.program, args, env });
}

/** Calls a tool and gives back its text. */
export async function callText(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
  options: { signal?: AbortSignal; onprogress?: (progress: { progress: number; message?: string }) => void } = {},
): Promise<string> {
  const result = (await client.callTool({ name, arguments: args }, { timeout: 180_000, ...options })) as CallToolResult;
  const [first] = result.content;
  const text = first?.type === "text" ? first.text : "";
  if (result.isError === true) throw new Error(text);
  return text;
}

import { createHash } from "node:crypto";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { SecureContext } from "node:tls";
import { Authority } from "../../src/network/opened/authority.ts";
import { openUpstream } from "./egress-pair.ts";
import { derive, hostAuthority } from "./opened-pair.ts";

const HALF_A_YEAR_MS = 182 * 24 * 3600 * 1000;

/** Hosts that no request is to reach, each with what is to be said of it. */
export async function badUpstreams() {
  let requests = 0;
  const servers: { close: () => void }[] = [];
  const serve = async (context: SecureContext) => {
    const server = https.createServer({ SNICallback: (_name, done) => done(null, context) }, (_request, response) => {
      requests++;
      response.end("a bad host");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  const raw = async (onConnection: Parameters<typeof openUpstream>[0]) => {
    const server = await openUpstream(onConnection);
    servers.push(server);
    return server.port;
  };
  const unknown = new Authority("unknown", (purpose) => createHash("sha256").update(`unknown ${purpose}`).digest());
  const hosts = [
    { name: "expired.test", port: await serve(await expiredContext("expired.test")), why: /certificate has expired/ },
    {
      name: "unknown.test",
      port: await serve(await unknown.contextFor("unknown.test")),
      why: /this host does not trust its certificate/,
    },
    {
      name: "wrong.test",
      port: await serve(await hostAuthority.contextFor("right.test")),
      why: /certificate is of another name/,
    },
    { name: "stalls.test", port: await raw((socket) => socket.resume()), why: /its handshake does not end/ },
    {
      name: "resets.test",
      port: await raw((socket) => socket.once("data", () => socket.resetAndDestroy())),
      why: /resets\.test cannot be spoken to over TLS: ECONNRESET/,
    },
    { name: "ends.test", port: await raw((socket) => socket.end()), why: /ends\.test cannot be spoken to over TLS/ },
    {
      name: "plain.test",
      port: await raw((socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))),
      why: /plain\.test cannot be spoken to over TLS/,
    },
  ];
  const close = () => {
    for (const server of servers) server.close();
  };
  return { hosts, requests: () => requests, close };
}

/** By an authority like the host's, half a year ago. */
async function expiredContext(name: string): Promise<SecureContext> {
  const { now } = Date;
  Date.now = () => now() - HALF_A_YEAR_MS;
  try {
    return await new Authority("fedcba987654", derive).contextFor(name);
  } finally {
    Date.now = now;
  }
}

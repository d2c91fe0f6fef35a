import { createHmac } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import tls, { type TLSSocket } from "node:tls";
import type { EgressPolicyInput, EgressRule } from "../../src/contract/policy.ts";
import { Authority } from "../../src/network/opened/authority.ts";
import { Opener } from "../../src/network/opened/opener.ts";
import type { GrantedSecret } from "../../src/secrets/service.ts";
import { openEgressPair } from "./egress-pair.ts";

export const derive = (purpose: string) => createHmac("sha256", "a key of a test").update(purpose).digest();
/** Of the hosts that are reached; not the VM's. */
export const hostAuthority = new Authority("fedcba987654", derive);

export interface Received {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** A server over TLS whose certificate is of `name`; it answers with what it got, as JSON. */
export async function openTlsUpstream(name: string, protocol: "http1" | "h2" = "http1") {
  const received: Received[] = [];
  const contexts = await hostAuthority.contextFor(name);
  const answer = (
    request: http.IncomingMessage | http2.Http2ServerRequest,
    response: http.ServerResponse | http2.Http2ServerResponse,
  ) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const got = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers as http.IncomingHttpHeaders,
        body: Buffer.concat(pieces).toString(),
      };
      received.push(got);
      response.setHeader("x-echo", String(request.headers.authorization ?? ""));
      (response as http.ServerResponse).end(JSON.stringify(got));
    });
  };
  const options = {
    SNICallback: (_name: string, done: (error: null, context: tls.SecureContext) => void) => done(null, contexts),
  };
  const server: tls.Server =
    protocol === "http1"
      ? https.createServer(options, answer)
      : http2.createSecureServer({ ...options, allowHTTP1: false }, answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { received, server, port: (server.address() as AddressInfo).port, close: () => server.close() };
}

export function secretOf(
  name: string,
  value: string,
  more: Partial<GrantedSecret> = {},
): GrantedSecret & { set: (value: string) => void } {
  let current = value;
  return {
    name,
    placeholder: `placeholder-of-${name}-0123456789`,
    hosts: [],
    places: ["header"],
    expose: "proxy",
    value: () => current,
    set: (next) => {
      current = next;
    },
    ...more,
  };
}

/** A VM's egress with secrets, and a client in the place of its guest that speaks TLS over its connections. */
export async function openOpenedPair(
  rules: EgressRule[],
  names: string[],
  secrets: GrantedSecret[],
  more: Pick<NonNullable<Parameters<typeof openEgressPair>[1]>, "dialer"> = {},
) {
  const authority = new Authority("0123456789ab", derive);
  const roots = [await hostAuthority.certificate()];
  const policy: EgressPolicyInput = {
    mode: "allowlist",
    allow: rules,
    hosts: Object.fromEntries(names.map((name) => [name, "127.0.0.1"])),
  };
  const pair = await openEgressPair(policy, {
    ...more,
    opener: (egress, log) =>
      new Opener({
        vm: { id: "0123456789ab", name: "web" },
        authority,
        secrets: () => secrets,
        policy: () => egress.policy,
        dial: (flow) => egress.dial(flow),
        log,
        roots: () => roots,
      }),
  });
  const ca = await authority.certificate();
  const secure = async (name: string, port: number, options: tls.ConnectionOptions = {}): Promise<TLSSocket> => {
    const { stream } = await pair.connect(`${name}:${port}`);
    const socket = tls.connect({ socket: stream as Duplex as never, servername: name, ca, ...options });
    await new Promise<void>((resolve, reject) =>
      socket
        .once("secureConnect", resolve)
        .once("error", reject)
        .once("close", () => reject(new Error("closed"))),
    );
    socket.on("error", () => {});
    return socket;
  };
  const get = async (name: string, port: number, options: http.RequestOptions & { body?: string | Buffer } = {}) => {
    const socket = await secure(name, port);
    const { body, ...rest } = options;
    const request = http.request({
      createConnection: () => socket,
      path: "/",
      ...rest,
      headers: { host: name, ...(rest.headers as object) },
    });
    request.end(body);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece as Buffer);
    socket.destroy();
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString() };
  };
  return { ...pair, secure, get, ca };
}

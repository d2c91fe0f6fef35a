import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { OAuthError, OAuthErrorCode, type OAuthTokenVerifier, requireBearerAuth } from "@modelcontextprotocol/server";
import Provider from "oidc-provider";
import type { Guard } from "./upstreams.ts";

export const MACHINE = { id: "machine", secret: "machine-secret-0123456789" };
const MAX_HOPS = 10;
const SCOPES = ["read", "write"];

export interface AuthorizationServer {
  issuer: string;
  provider: Provider;
  /** Grants for which tokens were asked, in their order. */
  asked: string[];
  /** Lets a server in whose tokens are of this authorization server, and for it; says where its metadata are. */
  guard: Guard;
  /** What the guard wants of a token. */
  wanted: string[];
  /** What a user does who agrees, or does not. Resolves to where the browser ends: on loopback, with a code or an error. */
  browse: (url: string, agrees?: boolean) => Promise<URL>;
  close: () => Promise<void>;
}

/** A certified implementation of OAuth 2, with registration, PKCE, rotation of refresh tokens, resource indicators and `iss`, on loopback. */
export async function serveAuthorization(): Promise<AuthorizationServer> {
  let handle: http.RequestListener = () => {};
  const server = http.createServer((incoming, outgoing) => handle(incoming, outgoing));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = makeProvider(issuer);
  const asked: string[] = [];
  provider.on("grant.success", ({ oidc }) => void asked.push(String(oidc.params?.grant_type)));
  const callback = provider.callback();
  let agrees = true;
  handle = (incoming, outgoing) => {
    if (incoming.url?.startsWith("/interaction/"))
      void interact(provider, incoming, outgoing, agrees).catch((error) => outgoing.destroy(error));
    else void callback(incoming, outgoing);
  };
  const wanted: string[] = [];
  const verifier: OAuthTokenVerifier = {
    verifyAccessToken: async (token) => {
      const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
      if (found === undefined) throw new OAuthError(OAuthErrorCode.InvalidToken, "no such token");
      const audience = String(found.aud);
      const scopes = (found.scope ?? "").split(" ");
      return {
        token,
        clientId: String(found.clientId),
        scopes,
        expiresAt: Number(found.exp),
        resource: new URL(audience),
      };
    },
  };
  return {
    issuer,
    provider,
    asked,
    wanted,
    guard: async (request) => {
      const { origin, pathname } = new URL(request.url);
      const resource = `${origin}/mcp`;
      if (pathname === "/metadata")
        return Response.json({ resource, authorization_servers: [issuer], scopes_supported: ["read"] });
      const gate = requireBearerAuth({
        verifier,
        requiredScopes: wanted,
        resourceMetadataUrl: `${origin}/metadata`,
        expectedResource: new URL(resource),
      });
      const passed = await gate(request);
      return passed instanceof Response ? passed : undefined;
    },
    browse: (url, isAgreed = true) => {
      agrees = isAgreed;
      return browse(url, issuer);
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function makeProvider(issuer: string): Provider {
  return new Provider(issuer, {
    clients: [
      {
        client_id: MACHINE.id,
        client_secret: MACHINE.secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    cookies: { keys: ["of a test"] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    // A registration may name no others.
    scopes: [...SCOPES, "offline_access"],
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: SCOPES.join(" "),
          audience: resource,
          accessTokenTTL: 3600,
          accessTokenFormat: "opaque",
        }),
        useGrantedResource: () => true,
      },
    },
  });
}

/** The user, who is asked nothing. */
async function interact(
  provider: Provider,
  incoming: http.IncomingMessage,
  outgoing: http.ServerResponse,
  agrees: boolean,
): Promise<void> {
  if (!agrees)
    return provider.interactionFinished(incoming, outgoing, {
      error: "access_denied",
      error_description: "the user said no",
    });
  const { params } = await provider.interactionDetails(incoming, outgoing);
  const grant = new provider.Grant({ accountId: "ann", clientId: String(params.client_id) });
  grant.addOIDCScope(String(params.scope));
  grant.addResourceScope(String(params.resource), String(params.scope));
  const grantId = await grant.save();
  await provider.interactionFinished(incoming, outgoing, { login: { accountId: "ann" }, consent: { grantId } });
}

/** Follows redirects with its cookies for as long as they stay at the authorization server. */
async function browse(from: string, issuer: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = new URL(from);
  for (let hops = 0; url.origin === issuer; hops++) {
    if (hops > MAX_HOPS) throw new Error(`${url.href} leads nowhere`);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get("location");
    if (location === null) throw new Error(`${url.pathname}: HTTP ${response.status}: ${await response.text()}`);
    url = new URL(location, url);
  }
  return url;
}

import assert from "node:assert/strict";
import type http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import type { RemoteServer } from "../../src/contract/server.ts";
import { dialRemotes } from "../../src/daemon/remote-dial.ts";
import { GuardedFetch } from "../../src/gateway/oauth/guarded-fetch.ts";
import { MemoryLogins, openGateway } from "../support/gateway.ts";
import { serveHttp } from "../support/upstreams.ts";

const BACK = "http://127.0.0.1:9/callback";
const TOKEN = "tok-5e1c0aa7";

/** What the server and its authorization server do that is not as it should be. */
interface Setting {
  /** Where the server says that its metadata are. */
  metadataUrl?: string;
  resource?: unknown;
  authority?: unknown;
  authorization?: unknown;
  token?: unknown;
  /** In the place of the answer of that path. */
  answers?: Record<string, (outgoing: http.ServerResponse) => void>;
  oauth?: RemoteServer["oauth"];
  resolve?: (name: string) => Promise<string[]>;
}

let server: { url: string; close: () => Promise<void> };
let authority: { url: string; close: () => Promise<void> };
let thief: { url: string; close: () => Promise<void> };
let stolen: string[] = [];
let tokensAsked = 0;
let refusals = 0;
let setting: Setting = {};

const json = (outgoing: http.ServerResponse, body: unknown, status = 200) =>
  void outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
const originOf = ({ url }: { url: string }) => new URL(url).origin;
const moved = (outgoing: http.ServerResponse, to: string) => void outgoing.writeHead(307, { location: to }).end();

before(async () => {
  thief = await serveHttp((incoming, outgoing) => {
    stolen.push(`${incoming.url} ${incoming.headers.authorization ?? ""}`);
    json(outgoing, {});
  });
  authority = await serveHttp((incoming, outgoing) => {
    const issuer = originOf(authority);
    const { pathname } = new URL(incoming.url ?? "/", issuer);
    const own = setting.answers?.[pathname];
    if (own !== undefined) return own(outgoing);
    if (pathname === "/.well-known/oauth-authorization-server")
      return json(outgoing, {
        ...{ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` },
        ...{ registration_endpoint: `${issuer}/register`, response_types_supported: ["code"] },
        ...{ code_challenge_methods_supported: ["S256"], ...(setting.authorization as object) },
      });
    if (pathname === "/register") return json(outgoing, { client_id: "it", redirect_uris: [BACK] }, 201);
    if (pathname === "/token") {
      tokensAsked++;
      return json(outgoing, {
        ...{ access_token: TOKEN, token_type: "Bearer", refresh_token: "again", ...(setting.token as object) },
      });
    }
    outgoing.writeHead(404).end();
  });
  server = await serveHttp((incoming, outgoing) => {
    const origin = originOf(server);
    const { pathname } = new URL(incoming.url ?? "/", origin);
    const own = setting.answers?.[pathname];
    if (own !== undefined) return own(outgoing);
    if (pathname === "/metadata")
      return json(outgoing, {
        ...{ resource: server.url, authorization_servers: [setting.authority ?? originOf(authority)] },
        ...(setting.resource as object),
      });
    refusals++;
    const where = setting.metadataUrl ?? `${origin}/metadata`;
    outgoing.writeHead(401, { "www-authenticate": `Bearer resource_metadata="${where}"` }).end();
  });
});
after(async () => {
  for (const each of [server, authority, thief]) await each.close();
});
beforeEach(() => {
  setting = {};
  stolen = [];
  tokensAsked = 0;
  refusals = 0;
});

/** Begins a login, and goes on with it as an authorization server would that somebody has agreed at. */
async function logIn(attack: Setting, query: Record<string, string> = {}): Promise<MemoryLogins> {
  setting = attack;
  const logins = new MemoryLogins();
  const fixture = await openGateway(
    { far: { url: server.url, ...(attack.oauth === undefined ? {} : { oauth: attack.oauth }) } },
    undefined,
    { logins, ...(attack.resolve === undefined ? {} : { resolve: attack.resolve }) },
  );
  try {
    const { state = "" } = await fixture.gateway.beginLogin("far", BACK);
    await fixture.gateway
      .finishLogin("far", new URLSearchParams({ code: "c", state, ...query }).toString())
      .catch((thrown: { code?: string }) => {
        // The server refuses all, which is no matter of the login.
        if (thrown.code !== "SERVER_LOGIN_REQUIRED") throw thrown;
      });
    assert.ok(!JSON.stringify([fixture.logged, fixture.gateway.list()]).includes(TOKEN));
    return logins;
  } finally {
    await fixture.close();
  }
}

test("as it should be, it comes to a login", async () => {
  assert.equal((await logIn({})).kept.get("far")?.accessToken, TOKEN);
});

const well = "/.well-known/oauth-authorization-server";
const much = (outgoing: http.ServerResponse) => {
  outgoing.writeHead(200, { "content-type": "application/json" });
  const write = () => {
    while (!outgoing.destroyed && outgoing.write(" ".repeat(64 * 1024)));
  };
  outgoing.on("drain", write);
  write();
};

const ATTACKS: Record<string, { attack: () => Setting; why: RegExp }> = {
  "metadata at a private address": {
    attack: () => ({ metadataUrl: "https://10.0.0.1/metadata" }),
    why: /10\.0\.0\.1.*not to be asked.*private/,
  },
  "metadata at a metadata service": {
    attack: () => ({ metadataUrl: "https://169.254.169.254/latest" }),
    why: /169\.254\.169\.254.*metadata/,
  },
  "metadata at an address in other clothes": {
    attack: () => ({ metadataUrl: "https://0xa9fea9fe/latest" }),
    why: /169\.254\.169\.254.*metadata/,
  },
  "metadata over http": {
    attack: () => ({ metadataUrl: "http://example.com/metadata" }),
    why: /not https/,
  },
  "metadata in a file": { attack: () => ({ metadataUrl: "file:///etc/passwd" }), why: /not https/ },
  "a name that leads to a private address": {
    attack: () => ({
      authority: "https://login.example.com",
      resolve: async (name) => (name.startsWith("login.") ? ["203.0.113.9", "10.1.2.3"] : [name]),
    }),
    why: /login\.example\.com.*not to be asked.*10\.1\.2\.3/,
  },
  "an authorization server over http": {
    attack: () => ({ authority: "http://login.example.com" }),
    why: /not https/,
  },
  "metadata of another authorization server": {
    attack: () => ({ authorization: { issuer: "https://login.example.com" } }),
    why: /issuer|login\.example\.com/i,
  },
  "a token endpoint over http": {
    attack: () => ({ authorization: { token_endpoint: "http://login.example.com/token" } }),
    why: /token endpoint.*not https/,
  },
  "an authorization endpoint that is a program": {
    attack: () => ({ authorization: { authorization_endpoint: "javascript:alert(1)" } }),
    why: /malformed|not https/,
  },
  "an authorization endpoint with a user that looks like a host": {
    attack: () => ({ authorization: { authorization_endpoint: "https://login.example.com@evil.example/a" } }),
    why: /has a user in it/,
  },
  "a registration at a private address": {
    attack: () => ({ authorization: { registration_endpoint: "https://192.168.0.1/register" } }),
    why: /192\.168\.0\.1.*not to be asked/,
  },
  "a token endpoint at a private address": {
    attack: () => ({ authorization: { token_endpoint: "https://192.168.0.1/token" } }),
    why: /192\.168\.0\.1.*not to be asked/,
  },
  "an authorization server without PKCE": {
    attack: () => ({ authorization: { code_challenge_methods_supported: undefined } }),
    why: /PKCE/,
  },
  "an authorization server with plain PKCE": {
    attack: () => ({ authorization: { code_challenge_methods_supported: ["plain"] } }),
    why: /PKCE/,
  },
  "metadata of another resource": {
    attack: () => ({ resource: { resource: "https://bank.example.com/mcp" } }),
    why: /bank\.example\.com.*does not match/,
  },
  "another authorization server than the configuration names": {
    attack: () => ({ oauth: { grant: "authorization_code", issuer: "https://login.example.com" } }),
    why: /configuration wants https:\/\/login\.example\.com/,
  },
  "metadata without end": { attack: () => ({ answers: { "/metadata": much } }), why: /more than 256 KiB/ },
  "metadata of its authorization server without end": {
    attack: () => ({ answers: { [well]: much } }),
    why: /more than 256 KiB/,
  },
  "a token without end": { attack: () => ({ answers: { "/token": much } }), why: /more than 256 KiB/ },
  "a code that is asked for elsewhere": {
    attack: () => ({ answers: { "/token": (outgoing) => moved(outgoing, thief.url) } }),
    why: /far/,
  },
  "metadata that move elsewhere": {
    attack: () => ({ answers: { [well]: (outgoing) => moved(outgoing, `${originOf(thief)}/x`) } }),
    why: /far/,
  },
  "a token that would end a header": {
    attack: () => ({ token: { access_token: `${TOKEN}\r\nx-evil: 1` } }),
    why: /no header can hold/,
  },
  "a token of another type": { attack: () => ({ token: { token_type: "mac" } }), why: /type 'mac'/ },
  "an answer that is no JSON": {
    attack: () => ({ answers: { "/token": (outgoing) => void outgoing.end(`${TOKEN}, as you asked`) } }),
    why: /malformed/,
  },
};

for (const [name, { attack, why }] of Object.entries(ATTACKS))
  test(`${name}: refused, and nothing goes there`, async () => {
    const before = tokensAsked;
    await assert.rejects(logIn(attack()), (error: { code: string; message: string }) => {
      assert.equal(error.code, "SERVER_LOGIN_FAILED", error.message);
      assert.match(error.message, why);
      assert.ok(!error.message.includes(TOKEN));
      return true;
    });
    assert.deepEqual(stolen, []);
    assert.ok(tokensAsked - before <= 1);
  });

test("what comes from another authorization server is refused before the code goes anywhere", async () => {
  for (const iss of ["https://evil.example", `${originOf(authority)}/`])
    await assert.rejects(logIn({}, { iss }), { code: "SERVER_LOGIN_FAILED" });
  const announced = { authorization: { authorization_response_iss_parameter_supported: true } };
  await assert.rejects(logIn(announced), { code: "SERVER_LOGIN_FAILED" });
  assert.equal(tokensAsked, 0);
});

test("a server that is elsewhere leads nobody to this host", () => {
  const guard = new GuardedFetch({
    server: "far",
    serverUrl: new URL("https://mcp.example.com/mcp"),
    dial: dialRemotes({ env: {} }),
  });
  for (const url of ["http://127.0.0.1:6379/", "http://localhost/", "http://[::1]/", "http://mcp.example.com/x"])
    assert.throws(() => guard.check(url, "it"), { code: "SERVER_LOGIN_FAILED" }, url);
  assert.equal(guard.check("https://login.example.com/x", "it").hostname, "login.example.com");
});

test("names that lead to this host are not asked, for a server that is elsewhere", async () => {
  for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fd00:ec2::254"]) {
    const guard = new GuardedFetch({
      server: "far",
      serverUrl: new URL("https://mcp.example.com/mcp"),
      dial: dialRemotes({ env: {}, resolve: async () => [address] }),
    });
    await assert.rejects(guard.fetch("https://login.example.com/"), /not to be asked/, address);
    await assert.rejects(guard.fetch("https://localhost/"), /not to be asked/, address);
  }
  // A proxy is not asked for them either.
  const guard = new GuardedFetch({
    server: "far",
    serverUrl: new URL("https://mcp.example.com/mcp"),
    dial: dialRemotes({ env: { HTTPS_PROXY: originOf(thief) } }),
  });
  for (const url of ["https://10.0.0.1/", "https://[fd00::1]/", "https://127.0.0.1/"])
    await assert.rejects(guard.fetch(url), /not to be asked/, url);
  assert.deepEqual(stolen, []);
});

test("a server that takes no token is asked once more with another one, and then not again for each call", async () => {
  const logins = await logIn({});
  refusals = 0;
  tokensAsked = 0;
  const fixture = await openGateway({ far: { url: server.url } }, undefined, { logins });
  for (let call = 0; call < 5; call++)
    await assert.rejects(fixture.gateway.prepare("far"), { code: "SERVER_LOGIN_REQUIRED" });
  assert.equal(tokensAsked, 1);
  assert.equal(refusals, 6);
  assert.equal(fixture.gateway.get("far").state, "needs_login");
  await fixture.close();
});

test("a redirect of the server's takes its token nowhere", async () => {
  const logins = await logIn({});
  setting = { answers: { "/mcp": (outgoing) => moved(outgoing, thief.url) } };
  const fixture = await openGateway({ far: { url: server.url } }, undefined, { logins });
  await assert.rejects(fixture.gateway.prepare("far"), { code: "SERVER_FAILED", message: /redirect/ });
  assert.deepEqual(stolen, []);
  await fixture.close();
});

test("a token that a server tells back is not told on", async () => {
  const logins = await logIn({});
  setting = { answers: { "/mcp": (outgoing) => void outgoing.writeHead(500).end(`bad: ${TOKEN}`) } };
  const fixture = await openGateway({ far: { url: server.url } }, undefined, { logins });
  await assert.rejects(fixture.gateway.prepare("far"), { message: /bad: \*\*\*/ });
  await fixture.close();
});

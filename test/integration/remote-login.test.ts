import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { CallToolResult, Client } from "@modelcontextprotocol/client";
import type { ServerConfig } from "../../src/contract/server.ts";
import { referTo } from "../../src/gateway/config/references.ts";
import type { Login } from "../../src/gateway/oauth/logins.ts";
import { type AuthorizationServer, MACHINE, serveAuthorization } from "../support/authorization-server.ts";
import { type GatewayFixture, MemoryLogins, openGateway } from "../support/gateway.ts";
import { serveLegacyUpstream, serveModernUpstream, type Upstream } from "../support/upstreams.ts";

const BACK = "http://127.0.0.1:9/callback";
const UPSTREAMS = { "2025-11-25": serveLegacyUpstream, "2026-07-28": serveModernUpstream };

for (const [era, serve] of Object.entries(UPSTREAMS))
  describe(`a server of ${era} that wants a login`, () => {
    let authority: AuthorizationServer;
    let upstream: Upstream;
    let logins: MemoryLogins;
    let fixture: GatewayFixture;
    let ending: (() => Promise<void>)[];

    beforeEach(async () => {
      authority = await serveAuthorization();
      upstream = await serve(authority.guard);
      logins = new MemoryLogins();
      ending = [upstream.close, authority.close];
      fixture = await open();
    });
    afterEach(async () => {
      for (const end of ending) await end();
    });

    async function open(
      config: Partial<Extract<ServerConfig, { kind: "remote" }>> = {},
      secret = MACHINE.secret,
    ): Promise<GatewayFixture> {
      const made = await openGateway({ far: { url: upstream.url, ...config } }, () => secret, { logins });
      ending.unshift(made.close);
      return made;
    }

    async function logIn(own = fixture, wanted = BACK): Promise<URL> {
      const { authorizationUrl = "" } = await own.gateway.beginLogin("far", wanted);
      const back = await authority.browse(authorizationUrl);
      await own.gateway.finishLogin("far", back.search);
      return back;
    }

    async function openClient(own = fixture): Promise<Client> {
      const client = await own.open("far");
      ending.unshift(() => client.close());
      return client;
    }

    async function echo(client: Client, text: string): Promise<CallToolResult> {
      return (await client.callTool({ name: "echo", arguments: { text } })) as CallToolResult;
    }

    const textOf = ({ content: [first] }: CallToolResult) => (first?.type === "text" ? first.text : "");
    const kept = () => logins.kept.get("far") as Login;
    const revoke = async (token: string) => (await authority.provider.AccessToken.find(token))?.destroy();

    test("says so by its state and by each error, until somebody logs in, and again once they log out", async () => {
      const hint = /firebreak server login far/;
      await assert.rejects(fixture.gateway.prepare("far"), { code: "SERVER_LOGIN_REQUIRED", hint });
      assert.equal(fixture.gateway.get("far").state, "needs_login");
      assert.match(fixture.gateway.get("far").reason ?? "", hint);
      const back = await logIn();
      assert.equal(back.searchParams.get("iss"), authority.issuer);
      const client = await openClient();
      assert.equal(textOf(await echo(client, "in")), "in");
      assert.equal(fixture.gateway.get("far").state, "running");
      assert.equal(fixture.gateway.get("far").reason, undefined);
      await fixture.gateway.logOut("far");
      assert.equal(logins.kept.size, 0);
      assert.equal(fixture.gateway.get("far").state, "needs_login");
      const refused = await echo(client, "out");
      assert.equal(refused.isError, true);
      assert.match(textOf(refused), /SERVER_LOGIN_REQUIRED.*firebreak server login far/s);
    });

    test("gets a token that is for it alone, which the next daemon uses, and nothing shows", async () => {
      await logIn();
      const token = await authority.provider.AccessToken.find(kept().accessToken);
      assert.equal(token?.aud, upstream.url);
      const next = await open();
      const client = await openClient(next);
      assert.equal(textOf(await echo(client, "again")), "again");
      assert.deepEqual(authority.asked, ["authorization_code"]);
      const shown = JSON.stringify([next.gateway.list(), next.logged, fixture.logged]);
      for (const secret of [kept().accessToken, kept().refreshToken ?? "?"]) assert.ok(!shown.includes(secret));
    });

    test("is not sent a token that was given for another url", async () => {
      await logIn();
      const { accessToken } = kept();
      const other = await serve(authority.guard);
      ending.unshift(other.close);
      const next = await open({ url: other.url });
      await assert.rejects(next.gateway.prepare("far"), { code: "SERVER_LOGIN_REQUIRED" });
      assert.ok(other.seen.length > 0 && !JSON.stringify(other.seen).includes(accessToken));
      assert.equal(logins.kept.size, 0);
    });

    test("a token that is not taken is replaced once, however many calls meet that", async () => {
      await logIn();
      const client = await openClient();
      await echo(client, "before");
      const first = kept().accessToken;
      await revoke(first);
      const answers = await Promise.all(["a", "b", "c", "d"].map((text) => echo(client, text)));
      assert.deepEqual(answers.map(textOf), ["a", "b", "c", "d"]);
      assert.deepEqual(authority.asked, ["authorization_code", "refresh_token"]);
      assert.notEqual(kept().accessToken, first);
    });

    test("a token that has ended is replaced before it is sent", async () => {
      await logIn();
      const old = kept();
      logins.put("far", { ...old, givenAtMs: 0, endsAtMs: 1_000 });
      const next = await open();
      const before = upstream.seen.length;
      assert.equal(textOf(await echo(await openClient(next), "fresh")), "fresh");
      assert.ok(!JSON.stringify(upstream.seen.slice(before)).includes(old.accessToken));
      assert.notEqual(kept().refreshToken, old.refreshToken);
    });

    test("a login that has ended at the authorization server is told of as such", async () => {
      await logIn();
      const client = await openClient();
      await echo(client, "before");
      const { accessToken, refreshToken = "" } = kept();
      await (await authority.provider.RefreshToken.find(refreshToken))?.destroy();
      await revoke(accessToken);
      assert.match(textOf(await echo(client, "after")), /SERVER_LOGIN_REQUIRED/);
      assert.equal(fixture.gateway.get("far").state, "needs_login");
      assert.equal(logins.kept.size, 0);
    });

    test("a call that wants more scopes says which, and the next login asks for them, too", async () => {
      await logIn();
      const client = await openClient();
      await echo(client, "before");
      authority.wanted.push("write");
      assert.match(textOf(await echo(client, "after")), /SERVER_SCOPE_MISSING.*'write'.*firebreak server login far/s);
      assert.notEqual(fixture.gateway.get("far").state, "needs_login");
      const { scopes, authorizationUrl = "" } = await fixture.gateway.beginLogin("far", BACK);
      assert.deepEqual(
        scopes.sort(),
        ["offline_access", "read", "write"].filter((each) => scopes.includes(each)),
      );
      assert.ok(scopes.includes("read") && scopes.includes("write"));
      await fixture.gateway.finishLogin("far", (await authority.browse(authorizationUrl)).search);
      assert.equal(textOf(await echo(client, "more")), "more");
    });

    test("what comes back is taken once, with its own state, and from its own authorization server", async () => {
      const { authorizationUrl = "" } = await fixture.gateway.beginLogin("far", BACK);
      const back = await authority.browse(authorizationUrl);
      const altered = (change: (query: URLSearchParams) => void) => {
        const query = new URLSearchParams(back.search);
        change(query);
        return fixture.gateway.finishLogin("far", query.toString());
      };
      await assert.rejects(
        altered((query) => query.set("state", "x".repeat(43))),
        { code: "SERVER_LOGIN_FAILED" },
      );
      await assert.rejects(
        altered((query) => query.delete("state")),
        { code: "SERVER_LOGIN_FAILED" },
      );
      await assert.rejects(
        altered((query) => query.set("iss", "https://evil.example")),
        { code: "SERVER_LOGIN_FAILED" },
      );
      // What failed has used the login up.
      await assert.rejects(
        altered(() => {}),
        { code: "SERVER_LOGIN_FAILED", message: /no login that was begun/ },
      );
      assert.equal(logins.kept.size, 0);
      const second = await fixture.gateway.beginLogin("far", BACK);
      const silent = await authority.browse(second.authorizationUrl ?? "");
      silent.searchParams.delete("iss");
      await assert.rejects(fixture.gateway.finishLogin("far", silent.search), { code: "SERVER_LOGIN_FAILED" });
      assert.deepEqual(authority.asked, []);
    });

    test("a user who does not agree is told of", async () => {
      const { authorizationUrl = "" } = await fixture.gateway.beginLogin("far", BACK);
      const back = await authority.browse(authorizationUrl, false);
      await assert.rejects(fixture.gateway.finishLogin("far", back.search), {
        code: "SERVER_LOGIN_FAILED",
        message: /access_denied: the user said no/,
      });
    });

    test("a machine needs nobody", async () => {
      const oauth = {
        grant: "client_credentials" as const,
        clientId: MACHINE.id,
        clientSecret: referTo("MACHINE"),
        scopes: ["read"],
      };
      const machine = await open({ oauth });
      const client = await openClient(machine);
      assert.equal(textOf(await echo(client, "alone")), "alone");
      assert.deepEqual(authority.asked, ["client_credentials"]);
      assert.ok(!JSON.stringify([...logins.kept]).includes(MACHINE.secret));
      const wrong = await open({ oauth: { ...oauth, scopes: ["write"] } }, "another secret");
      await assert.rejects(wrong.gateway.prepare("far"), { code: "SERVER_LOGIN_FAILED", message: /invalid_client/ });
    });
  });

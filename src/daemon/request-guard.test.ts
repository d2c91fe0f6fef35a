import assert from "node:assert/strict";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { test } from "node:test";
import { openDatabase } from "../store/database.ts";
import { SqliteKeyStore } from "../store/keys.ts";
import { cookieNameOf } from "./dashboard/cookies.ts";
import { Sessions } from "./dashboard/sessions.ts";
import { KeyRing } from "./keys.ts";
import { challenge, DASHBOARD_HEADER, RequestGuard } from "./request-guard.ts";

const keys = new KeyRing(new SqliteKeyStore(openDatabase(":memory:")));
const { key } = keys.create({ name: "laptop" });
const sessions = new Sessions({ keys, settings: { get: () => undefined, set: () => {} } });
const guard = new RequestGuard({ keys, sessions, allowedHosts: () => ["build1.lan"] });

function check(headers: IncomingHttpHeaders): string {
  const whole = { host: "127.0.0.1:9600", authorization: `Bearer ${key}`, ...headers };
  try {
    const caller = guard.check({ headers: whole } as IncomingMessage);
    return caller.via === "tcp" ? caller.key.name : "";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("a request with a key and a host that is ours is admitted", () => {
  for (const host of [
    "127.0.0.1:9600",
    "localhost",
    "LOCALHOST:1",
    "[::1]:9600",
    "10.0.0.7",
    "build1.lan:9600",
    "Build1.LAN.:80",
  ])
    assert.equal(check({ host }), "laptop", host);
  assert.equal(check({ authorization: `bearer ${key}` }), "laptop");
});

test("a host that is not ours is refused, whatever it looks like", () => {
  for (const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:9600",
    "evil.example:9600@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1, evil.example",
    "build1.lan.evil.example",
    "[::1].evil.example",
    "",
    " ",
    "0x7f000001",
  ])
    assert.equal(check({ host }), "HOST_NOT_ALLOWED", host);
  assert.equal(check({ host: undefined }), "HOST_NOT_ALLOWED");
});

test("a page of another origin is refused, one that the daemon has served is not", () => {
  assert.equal(check({ origin: "http://127.0.0.1:9600" }), "laptop");
  for (const origin of [
    "null",
    "http://evil.example",
    "http://127.0.0.1:9601",
    "http://127.0.0.1",
    "http://127.0.0.1:9600.evil.example",
    "http://127.0.0.1:9600@evil.example",
    "http://evil.example/127.0.0.1:9600",
    "file://127.0.0.1:9600",
    "",
  ])
    assert.equal(check({ origin }), "ORIGIN_NOT_ALLOWED", origin);
});

test("a request without a key that is ours is refused, on loopback too", () => {
  assert.equal(check({ authorization: undefined }), "API_KEY_MISSING");
  for (const authorization of ["", "Bearer", "Bearer ", `Basic ${key}`, key, `Bearer ${key} x`])
    assert.equal(check({ authorization }), "API_KEY_MISSING", authorization);
  for (const authorization of [`Bearer ${key}x`, `Bearer x${key}`, "Bearer null", `Bearer ${key},`])
    assert.equal(check({ authorization }), "API_KEY_INVALID", authorization);
});

test("a foreign page is told nothing about the key that it has", () => {
  assert.equal(check({ origin: "http://evil.example", authorization: "Bearer wrong" }), "ORIGIN_NOT_ALLOWED");
  assert.equal(check({ host: "evil.example", authorization: undefined }), "HOST_NOT_ALLOWED");
});

test("the challenge names the error unless there was no key", () => {
  const challengeOf = (authorization: string | undefined) => {
    try {
      guard.check({ headers: { host: "localhost", authorization } } as IncomingMessage);
    } catch (error) {
      return challenge(error as never)["www-authenticate"];
    }
    return undefined;
  };
  assert.equal(challengeOf(undefined), 'Bearer realm="firebreak"');
  assert.equal(
    challengeOf("Bearer x"),
    'Bearer realm="firebreak", error="invalid_token", error_description="API_KEY_INVALID"',
  );
});

const HOST = "127.0.0.1:9600";
const { token } = sessions.openWithCode(sessions.createCode().code);

/** Who a request with the session's cookie is made by, or the code of its refusal. */
function checkCookie(method: string, headers: IncomingHttpHeaders = {}): string {
  const whole = { host: HOST, cookie: `a=b; ${cookieNameOf(HOST)}=${token}`, ...headers };
  try {
    const caller = guard.check({ method, headers: whole } as IncomingMessage);
    return caller.via === "tcp" ? caller.key.name : "";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("a session's cookie reads, and changes only what the dashboard's own page asks to", () => {
  const origin = `http://${HOST}`;
  const own = { origin, [DASHBOARD_HEADER]: "1" };
  assert.equal(checkCookie("GET"), "dashboard");
  assert.equal(checkCookie("GET", { "sec-fetch-site": "same-origin" }), "dashboard");
  assert.equal(checkCookie("GET", { "sec-fetch-site": "none" }), "dashboard");
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    assert.equal(checkCookie(method, own), "dashboard", method);
    assert.equal(checkCookie(method, { ...own, "sec-fetch-site": "same-origin" }), "dashboard", method);
    for (const headers of [
      {},
      { origin },
      { [DASHBOARD_HEADER]: "1" },
      { ...own, "sec-fetch-site": "same-site" },
      { ...own, "sec-fetch-site": "cross-site" },
      { ...own, "sec-fetch-site": "none" },
    ])
      assert.equal(checkCookie(method, headers), "SESSION_REQUEST_REFUSED", `${method} ${JSON.stringify(headers)}`);
    assert.equal(checkCookie(method, { ...own, origin: "http://127.0.0.1:3000" }), "ORIGIN_NOT_ALLOWED");
    assert.equal(checkCookie(method, { ...own, origin: "null" }), "ORIGIN_NOT_ALLOWED");
  }
});

test("a page on another port of this host reads nothing with a session's cookie", () => {
  assert.equal(checkCookie("GET", { "sec-fetch-site": "same-site" }), "SESSION_REQUEST_REFUSED");
  assert.equal(checkCookie("GET", { "sec-fetch-site": "cross-site" }), "SESSION_REQUEST_REFUSED");
});

test("a WebSocket with a session's cookie says its origin", () => {
  const upgrade = { upgrade: "websocket" };
  assert.equal(checkCookie("GET", { ...upgrade, origin: `http://${HOST}` }), "dashboard");
  assert.equal(checkCookie("GET", upgrade), "SESSION_REQUEST_REFUSED");
  assert.equal(checkCookie("GET", { ...upgrade, origin: "http://evil.example" }), "ORIGIN_NOT_ALLOWED");
});

test("the cookie of another port's daemon, and one that has been made up, are nobody's", () => {
  assert.equal(checkCookie("GET", { cookie: `${cookieNameOf("127.0.0.1:9601")}=${token}` }), "API_KEY_MISSING");
  assert.equal(checkCookie("GET", { cookie: `${cookieNameOf(HOST)}=${"A".repeat(43)}` }), "SESSION_ENDED");
  assert.equal(checkCookie("GET", { cookie: `${cookieNameOf(HOST)}=x` }), "API_KEY_MISSING");
});

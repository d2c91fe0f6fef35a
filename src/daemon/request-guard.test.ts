import assert from "node:assert/strict";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { test } from "node:test";
import { openDatabase } from "../store/database.ts";
import { SqliteKeyStore } from "../store/keys.ts";
import { KeyRing } from "./keys.ts";
import { challenge, RequestGuard } from "./request-guard.ts";

const keys = new KeyRing(new SqliteKeyStore(openDatabase(":memory:")));
const { key } = keys.create({ name: "laptop" });
const guard = new RequestGuard({ keys, allowedHosts: () => ["build1.lan"] });

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

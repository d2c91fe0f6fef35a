import assert from "node:assert/strict";
import { once } from "node:events";
import http, { type OutgoingHttpHeaders } from "node:http";
import { after, before, test } from "node:test";
import type { DashboardCode } from "../../src/contract/dashboard.ts";
import type { CreatedKey } from "../../src/contract/key.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openExecSocket } from "../support/exec-socket.ts";
import { type HttpAnswer, httpCall } from "../support/http-call.ts";

/** What other pages, other ports of this host and whoever finds an old code or cookie try on the dashboard. No VM is needed for it. */

let daemon: DaemonFixture;
let url: URL;
let key: CreatedKey;
before(async () => {
  daemon = await startDaemonFixture();
  const printed = await daemon.json<DashboardCode>("dashboard");
  url = new URL(printed.url as string);
  key = await daemon.client.keys.create({ name: "phone" });
});
after(() => daemon.close());

const call = (target: string, options?: Parameters<typeof httpCall>[2]) => httpCall(url, target, options);
const refusal = ({ status, body }: HttpAnswer) => [status, body.error?.code];
const own = () => ({ origin: url.origin, "x-firebreak-dashboard": "1" });
const login = (body: object, headers: OutgoingHttpHeaders = own()) => {
  const text = JSON.stringify(body);
  return call("/v1/session", {
    method: "POST",
    body: text,
    headers: { "content-type": "application/json", "content-length": text.length, ...headers },
  });
};
const newCode = async () => (await daemon.client.sessions.createCode()).code;
const cookieOf = ({ headers }: HttpAnswer) => String(headers["set-cookie"]?.[0]).split(";")[0] as string;
const signIn = async () => cookieOf(await login({ code: await newCode() }));

test("the address that 'firebreak dashboard' prints has its code where no server or log sees it, and is on loopback", async () => {
  const printed = await daemon.json<DashboardCode & { opened: boolean }>("dashboard", "--no-open");
  assert.match(printed.url ?? "", /^http:\/\/127\.0\.0\.1:\d+\/login#code=[\w-]{43}$/);
  assert.equal(printed.opened, false);
  const { stdout } = await daemon.ok("dashboard");
  assert.match(stdout, /^http:\/\/127\.0\.0\.1:\d+\/login#code=[\w-]{43}\n$/);
  const remote = await daemon.cli(["dashboard"], { env: { FIREBREAK_URL: "http://127.0.0.1:1" } });
  assert.equal(remote.exitCode, 2, remote.stderr);
});

test("a session's cookie is out of reach of scripts and of other sites' pages", async () => {
  const answer = await login({ code: await newCode() });
  assert.equal(answer.status, 201, answer.text);
  const [cookie = ""] = answer.headers["set-cookie"] ?? [];
  assert.match(cookie, /^firebreak_session_\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  assert.equal((await call("/v1/vms", { headers: { cookie: cookieOf(answer) } })).status, 200);
  const overTls = await login({ code: await newCode() }, { ...own(), origin: `https://${url.host}` });
  assert.match(String(overTls.headers["set-cookie"]?.[0]), /; Secure/);
});

test("a code that has been used, or is made up, opens nothing", async () => {
  const code = await newCode();
  assert.equal((await login({ code })).status, 201);
  assert.deepEqual(refusal(await login({ code })), [401, "LOGIN_CODE_INVALID"]);
  assert.deepEqual(refusal(await login({ code: "A".repeat(43) })), [401, "LOGIN_CODE_INVALID"]);
  assert.deepEqual(refusal(await login({})), [400, "INVALID_ARGUMENT"]);
});

test("of many that come with one code at once, one gets in", async () => {
  const code = await newCode();
  const answers = await Promise.all(Array.from({ length: 10 }, () => login({ code })));
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
});

test("a page of another origin, or of a name that was made to point here, gets no session", async () => {
  const code = await newCode();
  const foreign = await login({ code }, { ...own(), origin: "http://evil.example" });
  assert.deepEqual(refusal(foreign), [403, "ORIGIN_NOT_ALLOWED"]);
  const rebound = { host: "evil.example", origin: "http://evil.example", "x-firebreak-dashboard": "1" };
  assert.deepEqual(refusal(await login({ code }, rebound)), [403, "HOST_NOT_ALLOWED"]);
  for (const target of ["/", "/tasks", "/theme.js"])
    assert.deepEqual(refusal(await call(target, { headers: { host: "evil.example" } })), [403, "HOST_NOT_ALLOWED"]);
  assert.equal((await login({ code })).status, 201, "none of them has spent the code");
});

test("a session's cookie changes nothing for another page, whatever that is allowed to send", async () => {
  const cookie = await signIn();
  const post = (headers: OutgoingHttpHeaders) =>
    call("/v1/tasks", { method: "POST", body: "{}", headers: { cookie, ...headers } });
  assert.deepEqual(refusal(await post(own())), [400, "INVALID_ARGUMENT"], "the dashboard's own is heard");
  for (const headers of [
    {},
    { origin: url.origin },
    { "x-firebreak-dashboard": "1" },
    { ...own(), "sec-fetch-site": "same-site" },
    { "content-type": "text/plain", "sec-fetch-site": "cross-site" },
  ])
    assert.deepEqual(refusal(await post(headers)), [403, "SESSION_REQUEST_REFUSED"], JSON.stringify(headers));
  const otherPort = { ...own(), origin: `http://127.0.0.1:1` };
  assert.deepEqual(refusal(await post(otherPort)), [403, "ORIGIN_NOT_ALLOWED"]);
  const image = await call("/v1/vms", { headers: { cookie, "sec-fetch-site": "same-site" } });
  assert.deepEqual(refusal(image), [403, "SESSION_REQUEST_REFUSED"]);
});

test("a WebSocket is opened by the dashboard's own page alone", async () => {
  const cookie = await signIn();
  const address = `ws://${url.host}/v1/vms/nobody/exec`;
  await assert.rejects(openExecSocket(address, { headers: { cookie }, origin: url.origin }), {
    status: 404,
    code: "VM_NOT_FOUND",
  });
  await assert.rejects(openExecSocket(address, { headers: { cookie } }), { code: "SESSION_REQUEST_REFUSED" });
  await assert.rejects(openExecSocket(address, { headers: { cookie }, origin: "http://evil.example" }), {
    code: "ORIGIN_NOT_ALLOWED",
  });
});

test("a cookie is worth nothing after its logout, and what was open with it ends", async () => {
  const cookie = await signIn();
  const stream = http.request({
    host: url.hostname,
    port: url.port,
    path: "/v1/events?follow=true",
    agent: false,
    headers: { cookie },
  });
  stream.end();
  const [following] = (await once(stream, "response")) as [http.IncomingMessage];
  following.resume().on("error", () => {});
  const ended = new Promise((resolve) => following.once("close", resolve));
  const out = await call("/v1/session", { method: "DELETE", headers: { cookie, ...own() } });
  assert.equal(out.status, 204, out.text);
  assert.match(String(out.headers["set-cookie"]?.[0]), /^firebreak_session_\d+=; .*Max-Age=0/);
  assert.deepEqual(refusal(await call("/v1/vms", { headers: { cookie } })), [401, "SESSION_ENDED"]);
  await ended;
});

test("a session outlives its daemon, and one of an API key ends with the key", async () => {
  const cookie = await signIn();
  const ofKey = cookieOf(await login({ key: key.key }));
  await daemon.ok("daemon", "stop");
  await daemon.ok("daemon", "start");
  const whoIs = async (who: string) => (await call("/v1/session", { headers: { cookie: who } })).text;
  assert.deepEqual(JSON.parse(await whoIs(cookie)), { name: "dashboard", isOwner: true });
  assert.deepEqual(JSON.parse(await whoIs(ofKey)), { name: "phone", isOwner: false });
  await daemon.client.keys.revoke("phone");
  assert.deepEqual(refusal(await call("/v1/session", { headers: { cookie: ofKey } })), [401, "SESSION_ENDED"]);
  assert.deepEqual(refusal(await login({ key: key.key })), [401, "API_KEY_INVALID"]);
});

test("a session makes no keys, moves no listener and reaches no directory of the host", async () => {
  const cookie = await signIn();
  const post = (target: string, body: object, method = "POST") =>
    call(target, { method, body: JSON.stringify(body), headers: { cookie, ...own() } });
  for (const answer of [
    await post("/v1/keys", {}),
    await post("/v1/session/codes", {}),
    await post("/v1/listen", { address: "0.0.0.0:0" }, "PUT"),
    await post("/v1/shutdown", {}),
    await post("/v1/tasks", { agent: "command", argv: ["true"], workspace: { directory: "/etc" } }),
  ])
    assert.deepEqual(refusal(answer), [403, "LOCAL_CALLERS_ONLY"]);
});

test("a login that says no length, or a long one, is not read", async () => {
  const long = JSON.stringify({ code: "A".repeat(5_000) });
  assert.deepEqual(refusal(await login({ code: "A".repeat(5_000) })), [401, "API_KEY_MISSING"]);
  const chunked = await call("/v1/session", {
    method: "POST",
    body: long,
    headers: { ...own(), "transfer-encoding": "chunked" },
  });
  assert.deepEqual(refusal(chunked), [401, "API_KEY_MISSING"]);
});

test("a page loads nothing but from this daemon, cannot be framed, and never takes a path of the API's", async () => {
  const page = await call("/tasks/4f1c0e9a2b3d");
  assert.equal(page.status, 200);
  assert.match(page.text, /<div id="root">/);
  const policy = String(page.headers["content-security-policy"]);
  for (const part of ["default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"])
    assert.ok(policy.includes(part), policy);
  assert.doesNotMatch(policy, /unsafe|data:|\*|https?:/);
  assert.equal(page.headers["x-content-type-options"], "nosniff");
  assert.equal(page.headers["referrer-policy"], "no-referrer");
  assert.equal(page.headers["cache-control"], "no-cache");
  assert.doesNotMatch(page.text, /<script(?![^>]*\bsrc=)|\son\w+=|\bstyle=/, "nothing runs that stands in the page");
  const [, asset = ""] = /src="(\/assets\/[^"]+)"/.exec(page.text) ?? [];
  const script = await call(asset, { headers: { "accept-encoding": "gzip" } });
  assert.match(String(script.headers["cache-control"]), /immutable/);
  assert.equal(script.headers["content-encoding"], "gzip");
  for (const target of ["/v1/vms", "/mcp", "/servers/x/mcp", "/metrics", "/nothing", "/assets/../../package.json"])
    assert.deepEqual(refusal(await call(target)), [401, "API_KEY_MISSING"], target);
  assert.equal((await call("/assets/none-1.js")).status, 404);
});

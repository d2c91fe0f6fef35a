import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import http, { type OutgoingHttpHeaders } from "node:http";
import net from "node:net";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import type { CreatedKey } from "../../src/contract/key.ts";
import { ROUTES } from "../../src/contract/routes/index.ts";
import type { ErrorBody } from "../../src/errors/firebreak-error.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openExecSocket } from "../support/exec-socket.ts";
import { waitFor } from "../support/wait-for.ts";

/** What strangers on the network and pages in a browser try on the API over TCP. No VM is needed for it. */

let daemon: DaemonFixture;
let url: URL;
let key: CreatedKey;
before(async () => {
  daemon = await startDaemonFixture();
  key = await daemon.client.keys.create({ name: "main" });
  url = new URL((await daemon.client.listen({ address: "127.0.0.1:0" })).url as string);
});
after(() => daemon.close());

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: { error?: ErrorBody };
}

interface Call {
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: string;
}

async function call(target: string, { method = "GET", headers = {}, body }: Call = {}): Promise<Answer> {
  const request = http.request({
    host: url.hostname,
    port: url.port,
    path: target,
    method,
    agent: false,
    headers: { connection: "keep-alive", authorization: `Bearer ${key.key}`, ...headers },
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const words = await text(response);
  request.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers, body: words === "" ? {} : JSON.parse(words) };
}

const refusal = ({ status, body }: Answer) => [status, body.error?.code];

/** Sends bytes as they are; resolves with all that comes back once the daemon has hung up. */
async function sendRaw(bytes: string): Promise<string> {
  const socket = net.connect({ host: url.hostname, port: Number(url.port) });
  socket.on("error", () => {}); // the daemon may hang up while we send
  socket.write(bytes);
  let answer = "";
  socket.setEncoding("latin1");
  socket.on("data", (piece) => {
    answer += piece;
  });
  await once(socket, "close");
  return answer;
}

test("a key opens what no request is answered for without", async () => {
  assert.equal((await call("/v1/vms")).status, 200);
  for (const target of ["/v1/vms", "/v1/status", "/v1/nothing", "/nothing", "/mcp", "/metrics", "/v1/session"]) {
    const answer = await call(target, { headers: { authorization: "" } });
    assert.deepEqual(refusal(answer), [401, "API_KEY_MISSING"], target);
    assert.equal(answer.headers["www-authenticate"], 'Bearer realm="firebreak"');
  }
  const absolute = await sendRaw(`GET http://127.0.0.1/v1/vms HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`);
  assert.match(absolute, /^HTTP\/1\.1 401 /);
});

test("a wrong, revoked or expired key is refused", async () => {
  const wrong = `fbk_${"A".repeat(43)}`;
  assert.deepEqual(refusal(await call("/v1/vms", { headers: { authorization: `Bearer ${wrong}` } })), [
    401,
    "API_KEY_INVALID",
  ]);
  const short = await daemon.client.keys.create({ lifeMs: 1_000 });
  const withShort = { headers: { authorization: `Bearer ${short.key}` } };
  await waitFor(async () => (await call("/v1/vms", withShort)).status === 401);
  assert.deepEqual(refusal(await call("/v1/vms", withShort)), [401, "API_KEY_EXPIRED"]);
  const revoked = await daemon.client.keys.create({ name: "revoked" });
  const withRevoked = { headers: { authorization: `Bearer ${revoked.key}` } };
  assert.equal((await call("/v1/vms", withRevoked)).status, 200);
  const done = await daemon.cli(["key", "revoke", "revoked", short.id]);
  assert.equal(done.exitCode, 0, done.stderr);
  assert.deepEqual(refusal(await call("/v1/vms", withRevoked)), [401, "API_KEY_INVALID"]);
  assert.equal((await call("/v1/vms", withShort)).body.error?.code, "API_KEY_INVALID");
});

test("revoking a key ends the connections that it opened", async () => {
  const made = await daemon.client.keys.create({ name: "cut" });
  const socket = net.connect({ host: url.hostname, port: Number(url.port) });
  socket.write(`GET /v1/status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${made.key}\r\n\r\n`);
  await once(socket, "data");
  const closed = once(socket, "close");
  await daemon.client.keys.revoke("cut");
  await closed;
});

test("a connection ends with its key's time, whatever is under way on it", async () => {
  const short = await daemon.client.keys.create({ lifeMs: 2_000 });
  const socket = net.connect({ host: url.hostname, port: Number(url.port) });
  socket.write(`GET /v1/events?follow=true HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${short.key}\r\n\r\n`);
  const [head] = await once(socket, "data");
  assert.match(String(head), /^HTTP\/1\.1 200 /);
  await once(socket, "close");
});

test("a page of another site reaches nothing, with a key or without: DNS rebinding, and its own origin", async () => {
  for (const headers of [{}, { authorization: "" }]) {
    const rebound = { host: `evil.example:${url.port}`, origin: `http://evil.example:${url.port}`, ...headers };
    assert.deepEqual(refusal(await call("/v1/vms", { headers: rebound })), [403, "HOST_NOT_ALLOWED"]);
    const foreign = { origin: "https://evil.example", ...headers };
    assert.deepEqual(refusal(await call("/v1/vms", { headers: foreign })), [403, "ORIGIN_NOT_ALLOWED"]);
    const preflight = { origin: "https://evil.example", "access-control-request-method": "POST", ...headers };
    const answer = await call("/v1/vms", { method: "OPTIONS", headers: preflight });
    assert.equal(answer.status, 403);
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
  }
  assert.equal((await call("/v1/vms", { headers: { origin: url.origin } })).status, 200);
});

test("a WebSocket is opened with a key in its header only, and by no page of another site", async () => {
  const address = `${url.href.replace("http:", "ws:")}v1/vms/nobody/exec`;
  const authorization = `Bearer ${key.key}`;
  const opened = (options: Parameters<typeof openExecSocket>[1], query = "") =>
    openExecSocket(address + query, options);
  await assert.rejects(opened({ headers: { authorization } }), { status: 404, code: "VM_NOT_FOUND" });
  await assert.rejects(opened({}), { status: 401, code: "API_KEY_MISSING" });
  await assert.rejects(opened({ protocols: [key.key] }), { status: 401, code: "API_KEY_MISSING" });
  await assert.rejects(opened({}, `?key=${key.key}&access_token=${key.key}`), { status: 401, code: "API_KEY_MISSING" });
  await assert.rejects(opened({ headers: { authorization: `Bearer fbk_${"A".repeat(43)}` } }), {
    status: 401,
    code: "API_KEY_INVALID",
  });
  await assert.rejects(opened({ headers: { authorization }, origin: "http://evil.example" }), {
    status: 403,
    code: "ORIGIN_NOT_ALLOWED",
  });
  await assert.rejects(opened({ headers: { authorization, host: "evil.example" } }), {
    status: 403,
    code: "HOST_NOT_ALLOWED",
  });
});

test("a name that was allowed is one that requests may come by", async () => {
  const address = `127.0.0.1:${url.port}`;
  await daemon.client.listen({ address, allowedHosts: ["Build1.lan"] });
  assert.equal((await call("/v1/vms", { headers: { host: "build1.lan:9600" } })).status, 200);
  await daemon.client.listen({ address });
  assert.equal((await call("/v1/vms", { headers: { host: "build1.lan:9600" } })).status, 403);
});

test("a key makes no keys, moves no listener, ends no daemon and reaches no directory of the host", async () => {
  const local = Object.values(ROUTES)
    .flat()
    .filter(({ isLocal }) => isLocal);
  assert.ok(local.length >= 6);
  for (const { method, path: route } of local) {
    const target = route.replaceAll(/:\w+/g, key.id);
    const answer = await call(target, { method, ...(["POST", "PUT"].includes(method) ? { body: "{}" } : {}) });
    assert.deepEqual(refusal(answer), [403, "LOCAL_CALLERS_ONLY"], `${method} ${target}`);
  }
  // A directory of this host is its users' business, wherever it is named.
  // So is a port of this host that other machines get in by.
  const open = { guestPort: 80, hostAddress: "0.0.0.0" };
  for (const [target, body] of [
    ["/v1/vms", { workspace: { directory: "/etc" } }],
    ["/v1/vms", { mounts: [{ hostPath: "/etc/hostname", guestPath: "/mnt/x" }] }],
    ["/v1/vms", { publish: [{ guestPort: 80 }, open] }],
    ["/v1/vms/any/forwards", open],
    ["/v1/vms/any/forwards", { ...open, hostAddress: "::" }],
  ] as const) {
    const answer = await call(target, { method: "POST", body: JSON.stringify(body) });
    assert.deepEqual(refusal(answer), [403, "LOCAL_CALLERS_ONLY"], JSON.stringify(body));
  }
  assert.equal((await call("/v1/status")).status, 200);
});

test("a head that is too long, and bytes that are no request, are answered and hung up on", async () => {
  const head = `GET /v1/vms HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key.key}\r\n`;
  assert.match(
    await sendRaw(`${head}x-long: ${"a".repeat(64 * 1024)}\r\n\r\n`),
    /^HTTP\/1\.1 431 .*REQUEST_TOO_LARGE/s,
  );
  const many = Array.from({ length: 3000 }, (_, index) => `x-${index}: 1\r\n`).join("");
  assert.match(await sendRaw(`${head}${many}\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await sendRaw("\x16\x03\x01 hello\r\n\r\n"), /^HTTP\/1\.1 400 .*INVALID_ARGUMENT/s);
  assert.match(await sendRaw(`GET /${"a".repeat(64 * 1024)} HTTP/1.1\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.doesNotMatch(await sendRaw("CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n"), /^HTTP\/1\.1 2/);
  assert.match(
    await sendRaw(`${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
    /^HTTP\/1\.1 400 /,
  );
});

test("a body that is too long, or nested too deep to be sensible, is refused", async () => {
  const long = JSON.stringify({ name: "a".repeat(2 * 1024 * 1024) });
  assert.deepEqual(refusal(await call("/v1/vms", { method: "POST", body: long })), [400, "REQUEST_TOO_LARGE"]);
  const deep = `{"env":${"[".repeat(500_000)}${"]".repeat(500_000)}}`;
  assert.deepEqual(refusal(await call("/v1/vms", { method: "POST", body: deep })), [400, "INVALID_ARGUMENT"]);
  assert.equal((await call("/v1/status")).status, 200);
});

test("a body that stops half-way is given up on", async () => {
  const head = `POST /v1/vms HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key.key}\r\ncontent-length: 9\r\n\r\n{`;
  const socket = net.connect({ host: url.hostname, port: Number(url.port) });
  socket.write(head);
  const [answer] = await once(socket, "data");
  assert.match(String(answer), /^HTTP\/1\.1 504 .*DEADLINE_EXCEEDED/s);
  socket.destroy();
});

test("a stranger's long body is not read to its end", async () => {
  const head = `PUT /v1/vms/x/file?path=/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n`;
  assert.match(await sendRaw(head), /^HTTP\/1\.1 401 .*API_KEY_MISSING/s);
});

test("after a refusal the next request comes on a connection that is there", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const send = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { host, authorization: `Bearer ${key.key}`, "content-type": "application/json" };
      const request = http.request({
        agent,
        host: url.hostname,
        port: url.port,
        path: "/mcp",
        method: "POST",
        headers,
      });
      request.once("error", reject);
      request.once("response", (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode));
      });
      request.end("{}");
    });
  try {
    for (let i = 0; i < 50; i++) {
      assert.equal(await send("evil.example"), 403);
      assert.equal(await send("localhost"), 400);
    }
  } finally {
    agent.destroy();
  }
});

test("heads that never end, and connections that say nothing, are hung up on", async () => {
  const answers = await Promise.all([
    sendRaw("GET /v1/vms HTTP/1.1\r\nhost: localhost\r\n"),
    sendRaw("G"),
    sendRaw(""),
    sendRaw(`GET /v1/status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key.key}\r\n\r\nGET /v1`),
  ]);
  assert.match(answers[0] as string, /^HTTP\/1\.1 408 /);
  assert.match(answers[3] as string, /^HTTP\/1\.1 200 .*HTTP\/1\.1 408 /s);
});

test("many connections at once that say nothing keep nobody on the UNIX socket waiting", async () => {
  const sockets = Array.from({ length: 700 }, () => net.connect({ host: url.hostname, port: Number(url.port) }));
  try {
    for (const socket of sockets) socket.on("error", () => {});
    await Promise.all(sockets.map((socket) => Promise.race([once(socket, "connect"), once(socket, "close")])));
    assert.ok((await daemon.client.status()).pid > 0);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await waitFor(async () => (await call("/v1/status").catch(() => undefined))?.status === 200);
});

test("other hosts are not listened to before there is a usable key, and the setting lasts until it is taken back", async () => {
  const other = await startDaemonFixture();
  try {
    const bare = await other.cli(["daemon", "start", "--listen", "0.0.0.0:0"]);
    assert.deepEqual([bare.exitCode, /LISTEN_NEEDS_KEY/.test(bare.stderr)], [4, true]);
    assert.equal((await other.client.status()).listen, undefined);
    const own = await other.cli(["daemon", "start", "--listen", "127.0.0.1:0", "--json"]);
    assert.match(JSON.parse(own.stdout).listen.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    await other.client.keys.create({ name: "one" });
    const wide = await other.cli(["daemon", "start", "--listen", "0.0.0.0:0", "--allow-host", "build1.lan"]);
    assert.match(wide.stderr, /not encrypted/);
    await other.cli(["daemon", "stop"]);
    await other.cli(["daemon", "start"]);
    const { listen } = await other.client.status();
    assert.deepEqual([listen?.address, listen?.allowedHosts], ["0.0.0.0:0", ["build1.lan"]]);
    assert.match(listen?.url ?? "", /^http:\/\/0\.0\.0\.0:\d+$/);
    // Without its key the next daemon serves its socket all the same, and says why it does not listen.
    await other.client.keys.revoke("one");
    await other.cli(["daemon", "stop"]);
    await other.cli(["daemon", "start"]);
    const after = (await other.client.status()).listen;
    assert.equal(after?.url, undefined);
    assert.match(after?.error ?? "", /no API key/);
    // It tries again by itself: what it lacked may have come.
    await other.client.keys.create({ name: "two" });
    await waitFor(async () => (await other.client.status()).listen?.url !== undefined);
    assert.equal((await other.client.status()).listen?.error, undefined);
    assert.equal((await other.cli(["daemon", "start", "--no-listen"])).exitCode, 0);
    assert.equal((await other.client.status()).listen, undefined);
  } finally {
    await other.close();
  }
});

test("an address that is taken or none of ours is refused, and what was listened on goes on", async () => {
  const blocker = net.createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as net.AddressInfo;
  try {
    for (const address of [`127.0.0.1:${port}`, "192.0.2.1:9600"])
      await assert.rejects(daemon.client.listen({ address }), { code: "LISTEN_FAILED" }, address);
    for (const address of ["9600", "127.0.0.1", "127.0.0.1:99999", "::1:9600", "http://127.0.0.1:9600", ""])
      await assert.rejects(daemon.client.listen({ address }), { code: "INVALID_ARGUMENT" }, address);
    // The same port on all addresses: what listens has to give way first, and comes back.
    const taken = net.createServer().listen({ port: Number(url.port), host: "127.0.0.2" });
    await once(taken, "listening");
    await assert.rejects(daemon.client.listen({ address: `0.0.0.0:${url.port}` }), { code: "LISTEN_FAILED" });
    taken.close();
    assert.equal((await call("/v1/status")).status, 200);
    assert.equal((await daemon.client.status()).listen?.address, `127.0.0.1:${url.port}`);
  } finally {
    blocker.close();
  }
});

test("a key is nowhere but with whoever made it", async () => {
  await call("/v1/vms");
  await call(`/v1/vms/${key.key}`, { headers: { host: "evil.example" } });
  const found: string[] = [];
  for (const entry of await readdir(daemon.paths.home, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(path.join(daemon.paths.home, entry.name));
    if (bytes.includes(key.key) || bytes.includes(key.key.slice(4))) found.push(entry.name);
  }
  assert.deepEqual(found, []);
  assert.ok(!JSON.stringify([await daemon.client.status(), await daemon.client.keys.list()]).includes(key.key));
  const { pid } = await daemon.client.status();
  assert.ok(!(await readFile(`/proc/${pid}/environ`)).includes(key.key));
});

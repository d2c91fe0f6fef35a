import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { EgressRule } from "../../src/contract/policy.ts";
import type { GrantedSecret } from "../../src/secrets/service.ts";
import { OpenedFlows, rule } from "../support/opened-flows.ts";
import { secretOf } from "../support/opened-pair.ts";
import { waitFor } from "../support/wait-for.ts";

const VALUE = "ghp_the-Real-Value-0123456789";
const flows = new OpenedFlows();

async function open(secrets: GrantedSecret[], rules: EgressRule[] = [rule("api.test"), rule("other.test")]) {
  return flows.open(secrets, rules);
}
const token = (more: Partial<GrantedSecret> = {}) =>
  secretOf("TOKEN", VALUE, { hosts: [`api.test:${flows.upstream.port}`], ...more });
const [last] = [() => flows.upstream.received.at(-1)];

test("the placeholder becomes the value in headers, Basic authentication too, and nothing of it comes back", async () => {
  const secret = token();
  const pair = await open([secret]);
  const basic = `Basic ${Buffer.from(`user:${secret.placeholder}`).toString("base64")}`;
  const got = await pair.get("api.test", flows.upstream.port, {
    headers: { authorization: `Bearer ${secret.placeholder}`, "accept-encoding": "gzip" },
  });
  assert.equal(got.status, 200);
  assert.equal(last()?.headers.authorization, `Bearer ${VALUE}`);
  assert.equal(last()?.headers["accept-encoding"], "identity");
  assert.ok(
    !got.body.includes(VALUE) && !String(got.headers["x-echo"]).includes(VALUE),
    "what the host echoes is masked",
  );
  assert.ok(got.body.includes("*".repeat(VALUE.length)));
  await pair.get("api.test", flows.upstream.port, { headers: { authorization: basic } });
  assert.equal(last()?.headers.authorization, `Basic ${Buffer.from(`user:${VALUE}`).toString("base64")}`);
  await waitFor(() => pair.events().some(({ state, verdict }) => state === "closed" && verdict === "allowed"));
  assert.ok(!JSON.stringify(pair.events()).includes(VALUE));
});

test("queries and bodies take it where that was asked for, in their own encoding; elsewhere it stays, and an event warns", async () => {
  const secret = token({ places: ["query", "body"], value: () => 'v"al&ue 1234' });
  const pair = await open([secret]);
  await pair.get("api.test", flows.upstream.port, { path: `/p?key=${secret.placeholder}` });
  assert.equal(last()?.url, `/p?key=${encodeURIComponent('v"al&ue 1234')}`);
  const post = (type: string, body: string) =>
    pair.get("api.test", flows.upstream.port, {
      method: "POST",
      headers: { "content-type": type, "content-length": Buffer.byteLength(body) },
      body,
    });
  await post("application/json", JSON.stringify({ key: secret.placeholder }));
  assert.deepEqual(JSON.parse(last()?.body ?? ""), { key: 'v"al&ue 1234' });
  await post("application/x-www-form-urlencoded", `key=${secret.placeholder}`);
  assert.equal(last()?.body, `key=${encodeURIComponent('v"al&ue 1234')}`);
  await pair.get("api.test", flows.upstream.port, { headers: { "x-key": secret.placeholder } });
  assert.equal(last()?.headers["x-key"], secret.placeholder);
  await waitFor(() =>
    pair.events().some(({ why }) => /placeholder of TOKEN was sent to api\.test as it is/.test(why ?? "")),
  );
});

test("another host gets the placeholder as it is: its connection is not opened at all", async () => {
  const other = await flows.openUpstream("other.test");
  const secret = token();
  const pair = await open([secret]);
  // Not the VM's certificate: the host's own is what the client sees.
  await assert.rejects(pair.get("other.test", other.port), /self-signed|unable to/);
  const limited = await open([secret], [rule("api.test"), rule("other.test", { methods: ["GET"] })]);
  await limited.get("other.test", other.port, { headers: { authorization: secret.placeholder } });
  assert.equal(other.received.at(-1)?.headers.authorization, secret.placeholder);
  await waitFor(() => limited.events().some(({ why }) => /was sent to other\.test as it is/.test(why ?? "")));
});

test("another value is used with the next request", async () => {
  const secret = token();
  const pair = await open([secret]);
  const ask = () => pair.get("api.test", flows.upstream.port, { headers: { authorization: secret.placeholder } });
  await ask();
  (secret as ReturnType<typeof secretOf>).set("another-value-9876543210");
  await ask();
  assert.deepEqual(
    flows.upstream.received.map(({ headers }) => headers.authorization),
    [VALUE, "another-value-9876543210"],
  );
});

test("methods and paths decide, and a refusal says why to the client", async () => {
  const pair = await open([], [rule("api.test", { methods: ["GET"], paths: ["/v1/**"] })]);
  assert.equal((await pair.get("api.test", flows.upstream.port, { path: "/v1/x" })).status, 200);
  for (const [method, path] of [
    ["POST", "/v1/x"],
    ["GET", "/v2"],
    ["GET", "/v1/../v2"],
    ["GET", "/v1/%2e%2e/v2"],
  ] as const) {
    const got = await pair.get("api.test", flows.upstream.port, { method, path });
    assert.deepEqual([got.status, /^firebreak: no rule of the policy allows/.test(got.body)], [403, true], path);
  }
  assert.equal(flows.upstream.received.length, 1);
  assert.ok(pair.events().some(({ protocol, verdict }) => protocol === "http" && verdict === "denied"));
});

test("a request or a handshake that names another host goes nowhere", async () => {
  const secret = token();
  const pair = await open([secret]);
  const got = await pair.get("api.test", flows.upstream.port, {
    headers: { host: "evil.test", authorization: secret.placeholder },
  });
  assert.equal(got.status, 421);
  // Of two names the first is looked at; the second goes no further.
  const socket = await pair.secure("api.test", flows.upstream.port);
  socket.write("GET /two HTTP/1.1\r\nHost: api.test\r\nHost: evil.test\r\nConnection: close\r\n\r\n");
  await once(socket, "data");
  assert.equal(flows.upstream.received.length === 0 || flows.upstream.received[0]?.headers.host === "api.test", true);
  flows.upstream.received.length = 0;
  await assert.rejects(pair.secure("api.test", flows.upstream.port, { servername: "other.test" }));
  assert.equal(flows.upstream.received.length, 0);
  await waitFor(() => pair.events().some(({ why }) => /client's TLS names "other\.test"/.test(why ?? "")));
});

test("a host whose certificate is not in order is told to the client, and to the log", async () => {
  const wrong = await flows.openUpstream("wrong.test");
  const pair = await open([secretOf("TOKEN", VALUE, { hosts: [`api.test:${wrong.port}`] })]);
  const got = await pair.get("api.test", wrong.port);
  assert.deepEqual([got.status, /its certificate is of another name/.test(got.body)], [502, true], got.body);
  assert.ok(pair.events().some(({ verdict, why }) => verdict === "failed" && /another name/.test(why ?? "")));
});

test("a client that does not trust the VM's certificate is told of in the log", async () => {
  const pair = await open([token()]);
  await assert.rejects(pair.secure("api.test", flows.upstream.port, { ca: "" }));
  await waitFor(() => pair.events().some(({ why }) => /the client/.test(why ?? "")));
});

test("a WebSocket passes, with the value in its handshake", async () => {
  const secret = token();
  flows.upstream.server.on("upgrade", (request: http.IncomingMessage, socket: Socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nX-Saw: ${request.headers.authorization === VALUE}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  const pair = await open([secret]);
  const socket = await pair.secure("api.test", flows.upstream.port);
  const request = http.request({
    createConnection: () => socket,
    headers: {
      host: "api.test",
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "x",
      authorization: secret.placeholder,
    },
  });
  request.end();
  const [response, upgraded] = (await once(request, "upgrade")) as [http.IncomingMessage, Socket];
  assert.equal(response.headers["x-saw"], "true");
  upgraded.write("frames");
  assert.equal(String((await once(upgraded, "data"))[0]), "frames");
  upgraded.destroy();
});

test("large bodies go through both ways without being held", async () => {
  const pair = await open([token()]);
  const body = Buffer.alloc(20 * 1024 * 1024, "x");
  const got = await pair.get("api.test", flows.upstream.port, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body,
  });
  assert.equal((JSON.parse(got.body) as { body: string }).body.length, body.length);
});

test("HTTP/2 is spoken where both ends do, with the same substitution, limits and masking", async () => {
  const two = await flows.openUpstream("api.test", "h2");
  const secret = secretOf("TOKEN", VALUE, { hosts: [`api.test:${two.port}`] });
  const pair = await open([secret], [rule("api.test", { methods: ["GET", "POST"], paths: ["/v1/**"] })]);
  const socket = await pair.secure("api.test", two.port, { ALPNProtocols: ["h2", "http/1.1"] });
  assert.equal(socket.alpnProtocol, "h2");
  const client = http2.connect("https://api.test", { createConnection: () => socket });
  const ask = async (headers: http2.OutgoingHttpHeaders, body?: string) => {
    const stream = client.request({ ":authority": "api.test", ...headers });
    stream.end(body);
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    let text = "";
    for await (const piece of stream) text += piece;
    return { status: Number(answer[":status"]), text, echo: answer["x-echo"] };
  };
  const got = await ask(
    { ":path": "/v1/x", ":method": "POST", authorization: `Bearer ${secret.placeholder}` },
    "a body",
  );
  assert.equal(got.status, 200);
  assert.deepEqual([two.received[0]?.headers.authorization, two.received[0]?.body], [`Bearer ${VALUE}`, "a body"]);
  assert.ok(!got.text.includes(VALUE) && !String(got.echo).includes(VALUE));
  assert.equal((await ask({ ":path": "/v2" })).status, 403);
  assert.equal((await ask({ ":path": "/v1/x", ":authority": "evil.test" })).status, 421);
  const all = await Promise.all(
    Array.from({ length: 50 }, () => ask({ ":path": "/v1/y", authorization: secret.placeholder })),
  );
  assert.ok(all.every(({ status }) => status === 200));
  client.destroy();
});

test("what is neither TLS nor HTTP, or stops in the midst of either, harms nobody", async () => {
  const pair = await open([token()]);
  for (const bytes of [
    Buffer.from("SSH-2.0-x\r\n"),
    Buffer.from([0x16, 3, 1, 255, 255, 1, 2, 3]),
    Buffer.from(`GET / HTTP/1.1\r\nHost: api.test\r\nX: ${"y".repeat(100_000)}`),
  ]) {
    const { stream } = await pair.connect(`api.test:${flows.upstream.port}`);
    stream.write(bytes);
    stream.resume();
    await new Promise((resolve) => setTimeout(resolve, 100));
    stream.destroy();
  }
  assert.equal((await pair.get("api.test", flows.upstream.port)).status, 200);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Http2Stream } from "node:http2";
import { afterEach, beforeEach, test } from "node:test";
import type { EgressPolicyInput } from "../../src/contract/policy.ts";
import { compile, openEgressPair, openUpstream, readAll } from "../support/egress-pair.ts";
import { waitFor } from "../support/wait-for.ts";

let upstream: Awaited<ReturnType<typeof openUpstream>>;
const upstreams: (typeof upstream)[] = [];
const openServer: typeof openUpstream = async (onConnection) => {
  const server = await openUpstream(onConnection);
  upstreams.push(server);
  return server;
};
const pairs: Awaited<ReturnType<typeof openEgressPair>>[] = [];
beforeEach(async () => {
  upstream = await openServer((socket) => socket.pipe(socket));
});
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.close();
  for (const server of upstreams.splice(0)) server.close();
});

/** `web.test` is the upstream on loopback. */
async function open(policy: Partial<EgressPolicyInput> = {}, more: Parameters<typeof openEgressPair>[1] = {}) {
  const pair = await openEgressPair(
    {
      mode: "allowlist",
      allow: [{ host: "web.test", ports: "*", private: true }],
      hosts: { "web.test": "127.0.0.1" },
      ...policy,
    },
    more,
  );
  pairs.push(pair);
  return pair;
}
/** Not by way of `once`, which an error ends. */
const closeOf = (stream: Http2Stream) => new Promise<void>((resolve) => stream.once("close", resolve));
const at = (name: string) => `${name}:${upstream.port}`;

test("an allowed connection carries bytes both ways, each way ends by itself, and its event says how much", async () => {
  const pair = await open();
  const { stream, status } = await pair.connect(at("WEB.test."));
  assert.equal(status, 200);
  const blob = "x".repeat(3_000_000);
  stream.end(blob);
  assert.equal(await readAll(stream), blob);
  await waitFor(() => pair.events()[0]?.state === "closed");
  const [event] = pair.events();
  assert.deepEqual(
    [event?.verdict, event?.name, event?.port, event?.address, event?.sentBytes, event?.receivedBytes, event?.rule],
    ["allowed", "web.test", upstream.port, "127.0.0.1", 3_000_000, 3_000_000, "web.test:* (private)"],
  );
});

test("what no rule allows is denied before anything is resolved", async () => {
  let resolved = 0;
  const resolve = async () => {
    resolved++;
    return ["127.0.0.1"];
  };
  const pair = await open({}, { resolve });
  for (const authority of [
    "other.test:443",
    "127.0.0.1:443",
    "[::1]:443",
    "web.test:0",
    "web.test:99999",
    "web.test",
    "",
    "a b:1",
  ]) {
    const { status, stream } = await pair.connect(authority).catch(() => ({ status: 400, stream: undefined }));
    assert.ok(status >= 400 && status < 500, authority);
    if (stream !== undefined) assert.match(await readAll(stream), /"code":"EGRESS_DENIED"|^$/, authority);
  }
  assert.equal(resolved, 0);
  assert.equal(upstream.sockets.size, 0);
});

test("a name that leads to a private address is refused, however it is written, unless its rule says private", async () => {
  for (const address of [
    "127.0.0.1",
    "::1",
    "::ffff:127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
  ]) {
    const pair = await open({ allow: ["web.test:*"], hosts: {} }, { resolve: async () => [address] });
    const { status, stream } = await pair.connect(at("web.test"));
    assert.equal(status, 403, address);
    assert.match(await readAll(stream), /EGRESS_DENIED.*leads to/, address);
    await waitFor(() => pair.events()[0]?.verdict === "denied");
    assert.equal(pair.events()[0]?.address, address);
  }
  const mixed = await open({ allow: ["web.test:*"], hosts: {} }, { resolve: async () => ["1.1.1.1", "127.0.0.1"] });
  assert.equal((await mixed.connect(at("web.test"))).status, 403);
  const metadata = await open({ hosts: { "web.test": "169.254.169.254" } });
  assert.equal((await metadata.connect(at("web.test"))).status, 403, "no rule opens it");
});

test("the address that is dialled is the one that was checked: a name that changes its mind changes nothing", async () => {
  const answers = [["127.0.0.1"], ["169.254.169.254"]];
  let asked = 0;
  const pair = await open({ hosts: {} }, { resolve: async () => answers[asked++] ?? [] });
  assert.equal((await pair.connect(at("web.test"))).status, 200);
  assert.equal(asked, 1);
});

test("another policy cuts what it does not allow, and leaves the rest alone", async () => {
  const pair = await open({
    allow: [
      { host: "web.test", ports: "*", private: true },
      { host: "two.test", ports: "*", private: true },
    ],
    hosts: { "web.test": "127.0.0.1", "two.test": "127.0.0.1" },
  });
  const [kept, cut] = [await pair.connect(at("web.test")), await pair.connect(at("two.test"))];
  const closed = closeOf(cut.stream);
  pair.egress.setPolicy(compile({ mode: "allowlist", allow: [{ host: "web.test", ports: "*", private: true }] }));
  await closed;
  kept.stream.write("still");
  assert.equal(String((await once(kept.stream, "data"))[0]), "still");
  await waitFor(() => pair.events().some(({ name, state }) => name === "two.test" && state === "closed"));
  assert.match(pair.events().find(({ name }) => name === "two.test")?.why ?? "", /does not allow it any more/);
  assert.equal((await pair.connect(at("two.test"))).status, 403);
});

test("an upstream that refuses, resets or stalls is told as such, and the others go on", async () => {
  const resetting = await openServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
  const silent = await openServer(() => {});
  const pair = await open();
  const gone = await openServer(() => {});
  gone.close();
  assert.equal((await pair.connect(`web.test:${gone.port}`)).status, 502);
  await waitFor(() => pair.events()[0]?.verdict === "failed");
  assert.match(pair.events()[0]?.why ?? "", /nothing listens on web\.test/);
  const { stream } = await pair.connect(`web.test:${resetting.port}`);
  let hasEnded = false;
  stream
    .on("data", () => {})
    .once("end", () => {
      hasEnded = true;
    });
  const closed = closeOf(stream);
  stream.write("x");
  await closed;
  assert.notEqual(stream.rstCode, 0);
  assert.equal(hasEnded, false, "what was cut off does not look complete");
  const stalled = await pair.connect(`web.test:${silent.port}`);
  const other = await pair.connect(at("web.test"));
  for (let index = 0; index < 200; index++) stalled.stream.write(Buffer.alloc(64 * 1024));
  other.stream.write("goes on");
  assert.equal(String((await once(other.stream, "data"))[0]), "goes on");
});

test("names are answered for by the policy; refusals of the guest's are noted, bounded", async () => {
  const pair = await open();
  assert.equal((await pair.request({ ":path": "/v1/names/web.test" })).status, 200);
  for (const name of ["other.test", "127.0.0.1", "%zz", "a".repeat(300), "%F0%9F%92%A9"])
    assert.equal((await pair.request({ ":path": `/v1/names/${name}` })).status, 403, name);
  const post = (body: string) => pair.request({ ":method": "POST", ":path": "/v1/refusals" }, body);
  const refusal = { protocol: "udp", address: "8.8.8.8", port: 53, count: 3 };
  assert.equal((await post(JSON.stringify({ refusals: [refusal] }))).status, 204);
  await waitFor(() => pair.events().some(({ address, count }) => address === "8.8.8.8" && count === 3));
  for (const body of [
    "",
    "[]",
    "{",
    JSON.stringify({ refusals: [{ ...refusal, address: "evil\u001b[31m" }] }),
    JSON.stringify({ refusals: Array(65).fill(refusal) }),
  ])
    assert.equal((await post(body)).status, 400, body.slice(0, 40));
  assert.equal((await post("x".repeat(100_000))).status, 413);
  assert.equal((await pair.request({ ":path": "/v1/other" })).status, 404);
});

test("a guest that tries a thousand things a second is noted with its share, and the rest is counted", async () => {
  const pair = await open();
  for (let index = 0; index < 1_000; index++) await pair.request({ ":path": `/v1/names/n${index}.test` });
  await waitFor(() => pair.events().length > 100);
  assert.ok(pair.events().length < 1_000);
});

test("a proxy that the host's environment names is used, but for the names that it exempts", async () => {
  const asked: string[] = [];
  const proxy = await openServer((socket) => {
    socket.once("data", (head: Buffer) => {
      asked.push(head.toString());
      socket.write("HTTP/1.1 200 OK\r\n\r\nhello");
    });
  });
  const env = { HTTPS_PROXY: `http://user:p%40ss@127.0.0.1:${proxy.port}`, NO_PROXY: ".exempt.test" };
  const pair = await open(
    { allow: ["web.test:443", "a.exempt.test:443"], hosts: {} },
    { env, resolve: async () => [] },
  );
  const { stream, status } = await pair.connect("web.test:443");
  assert.equal(status, 200);
  assert.equal(String((await once(stream, "data"))[0]), "hello");
  assert.match(
    asked[0] ?? "",
    /^CONNECT web\.test:443 HTTP\/1\.1\r\n.*\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n/s,
  );
  assert.equal((await pair.connect("a.exempt.test:443")).status, 502, "it was resolved, to nothing");
});

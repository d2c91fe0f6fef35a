import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { test } from "node:test";
import { MAX_BODY_BYTES } from "../../src/network/opened/exchange.ts";
import type { GrantedSecret } from "../../src/secrets/service.ts";
import {
  type AwsKeys,
  type AwsRequest,
  judge,
  presign,
  signChunks,
  signHeaders,
  targetOf,
} from "../support/aws-client.ts";
import { OpenedFlows, type OpenedPair, rule } from "../support/opened-flows.ts";
import { secretOf } from "../support/opened-pair.ts";
import { waitFor } from "../support/wait-for.ts";

/** Those of AWS's own documentation. */
const REAL = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const TOKEN = "real/session+token==0123456789";
const HELD: AwsKeys = {
  accessKeyId: "AKIAplaceholder00001",
  secretAccessKey: "placeholder-of-AWS_SECRET_ACCESS_KEY-0123456789",
};
const HELD_TOKEN = "placeholder-of-AWS_SESSION_TOKEN-0123456789";

const flows = new OpenedFlows();

/** What SecretService grants of an AWS key. */
function awsSecrets(port: number, more: Partial<GrantedSecret> = {}): GrantedSecret[] {
  const hosts = [`api.test:${port}`];
  const places = ["header", "query"] as const;
  const id = secretOf("AWS_ACCESS_KEY_ID", REAL.accessKeyId, { placeholder: HELD.accessKeyId, hosts, places });
  const token = secretOf("AWS_SESSION_TOKEN", TOKEN, { hosts, places });
  const key = secretOf("AWS_SECRET_ACCESS_KEY", REAL.secretAccessKey, { hosts, places: [], aws: { accessKeyId: id } });
  return [{ ...key, ...more }, id, token];
}

async function open(
  secrets = awsSecrets(flows.upstream.port),
  rules = [rule("api.test"), rule("other.test", { methods: ["GET", "POST"] })],
) {
  return flows.open(secrets, rules);
}

const get = (path = "/", more: Partial<AwsRequest> = {}): AwsRequest => ({
  ...{ method: "GET", path },
  ...more,
  headers: { host: "api.test", ...more.headers },
});
const post = (body: string, more: Partial<AwsRequest> = {}): AwsRequest => ({
  ...{ method: "POST", path: "/", body },
  ...more,
  headers: {
    host: "api.test",
    "content-type": "application/x-amz-json-1.1",
    "content-length": String(Buffer.byteLength(body)),
    ...more.headers,
  },
});
function send(
  pair: OpenedPair,
  { method, path, query, headers, body }: AwsRequest,
  port = flows.upstream.port,
  name = "api.test",
) {
  return pair.get(name, port, {
    method,
    path: targetOf(path, query),
    headers,
    ...(body === undefined ? {} : { body }),
  });
}
async function sendSigned(pair: OpenedPair, service: string, request: AwsRequest, keys = HELD) {
  return send(pair, { ...request, headers: await signHeaders(keys, service, request) });
}

async function assertJudged(service: string, keys: AwsKeys = REAL, from = flows.upstream) {
  const received = from.received.at(-1);
  assert.ok(received !== undefined);
  const { given, expected } = await judge(received, keys, service);
  assert.ok(given?.length);
  assert.equal(given, expected);
  return received;
}

/** What never is anywhere but on its way to the host. */
function assertUnseen(pair: OpenedPair, ...seen: unknown[]) {
  const all = JSON.stringify([seen, pair.events(), flows.upstream.received]);
  assert.ok(!all.includes(REAL.secretAccessKey));
}

test("requests that the placeholder has signed arrive signed with the key, whatever the service, path, query and body", async () => {
  const pair = await open();
  const cases: [string, AwsRequest][] = [
    [
      "sts",
      post("Action=GetCallerIdentity&Version=2011-06-15", {
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
    ],
    ["dynamodb", post('{"TableName":"t"}', { headers: { "x-amz-target": "DynamoDB_20120810.Scan" } })],
    ["lambda", get("/2015-03-31/functions/a%3Ab/invocations")],
    ["execute-api", get("/stage//a/./b/../c/")],
    ["s3", get("/bucket/a%20b/%C3%A9//c+d", { query: { "list-type": "2", prefix: "x y/z", empty: "" } })],
    ["s3", post("what is put", { method: "PUT", path: "/bucket/key", headers: { "x-amz-meta-a": "  two   spaces " } })],
    ["iam", get("/", { query: { Action: "ListUsers", "Names.1": "b+c", "Names.2": "a&b=c" } })],
  ];
  for (const [service, request] of cases) {
    const got = await sendSigned(pair, service, request);
    assert.equal(got.status, 200, `${service}: ${got.body}`);
    const received = await assertJudged(service);
    assert.equal(received.body, request.body ?? "");
    assert.match(String(received.headers.authorization), new RegExp(`Credential=${REAL.accessKeyId}/`));
    const signature = String(received.headers.authorization).split("Signature=")[1] as string;
    assert.ok(!JSON.stringify(got).includes(signature), "a signature that is sent back is masked");
    assertUnseen(pair, got);
  }
  assert.ok(!JSON.stringify(pair.events()).includes(HELD.secretAccessKey));
  assert.ok(!pair.events().some(({ why }) => /placeholder of/.test(why ?? "")), JSON.stringify(pair.events()));
});

test("temporary keys are signed with their session token, and a guest may know the real id", async () => {
  const pair = await open();
  await sendSigned(pair, "s3", get("/bucket"), { ...HELD, sessionToken: HELD_TOKEN });
  const received = await assertJudged("s3", { ...REAL, sessionToken: TOKEN });
  assert.equal(received.headers["x-amz-security-token"], TOKEN);
  await sendSigned(pair, "sts", post("x=y"), { ...HELD, accessKeyId: REAL.accessKeyId });
  await assertJudged("sts");
});

test("URLs that the placeholder has signed arrive signed with the key", async () => {
  const pair = await open();
  for (const [service, keys, real, request] of [
    ["s3", HELD, REAL, get("/bucket/a%20b", { query: { versionId: "a/b" } })],
    [
      "s3",
      { ...HELD, sessionToken: HELD_TOKEN },
      { ...REAL, sessionToken: TOKEN },
      get("/b/k", { headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } }),
    ],
    [
      "rds-db",
      { ...HELD, sessionToken: HELD_TOKEN },
      { ...REAL, sessionToken: TOKEN },
      get("/", { query: { Action: "connect" } }),
    ],
  ] as const) {
    const path = await presign(keys, service, request);
    const got = await send(pair, get(path));
    assert.equal(got.status, 200, got.body);
    const received = await assertJudged(service, real);
    assert.equal(
      new URL(received.url, "https://a").searchParams.get("X-Amz-Credential")?.split("/")[0],
      REAL.accessKeyId,
    );
    assertUnseen(pair, got);
  }
});

test("HTTP/2 is signed in the same way", async () => {
  const two = await flows.openUpstream("api.test", "h2");
  const pair = await open(awsSecrets(two.port));
  const socket = await pair.secure("api.test", two.port, { ALPNProtocols: ["h2"] });
  const client = http2.connect("https://api.test", { createConnection: () => socket });
  const ask = async (request: AwsRequest, headers: Record<string, string>) => {
    const { host, ...others } = headers;
    const stream = client.request({
      ...{ ":method": request.method, ":path": targetOf(request.path, request.query), ":authority": host, ...others },
    });
    stream.end(request.body);
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    let text = "";
    for await (const piece of stream) text += piece;
    return { status: answer[":status"], text };
  };
  for (const [service, request] of [
    ["dynamodb", post('{"TableName":"t"}')],
    ["lambda", get("/a%3Ab", { query: { q: "x y" } })],
    ["s3", get("/bucket/a%3Ab")],
  ] as const) {
    const got = await ask(request, await signHeaders(HELD, service, request));
    assert.equal(got.status, 200, got.text);
    await assertJudged(service, REAL, two);
  }
  const presigned = await presign(HELD, "s3", get("/bucket/key"));
  assert.equal((await ask(get(presigned), { host: "api.test" })).status, 200);
  await assertJudged("s3", REAL, two);
  const request = post("{}");
  const altered = await ask({ ...request, body: "[]" }, await signHeaders(HELD, "dynamodb", request));
  assert.deepEqual([altered.status, two.received.length], [403, 4]);
  const large = "x".repeat(MAX_BODY_BYTES + 1);
  const unsized = { ...post(large), headers: { host: "api.test" } };
  assert.equal((await ask(unsized, await signHeaders(HELD, "dynamodb", unsized))).status, 413);
  client.destroy();
});

test("attacks: what the placeholder has not signed as it is goes nowhere, and an event says so", async () => {
  const pair = await open();
  const signed = await signHeaders(HELD, "dynamodb", post('{"TableName":"mine"}'));
  const plain = await signHeaders(HELD, "s3", get("/bucket/mine", { query: { a: "1" } }));
  const url = await presign(HELD, "s3", get("/bucket/mine"));
  const without = (headers: Record<string, string>, name: string) =>
    Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
  const authorization = String(signed.authorization);
  const cases: [string, AwsRequest, number][] = [
    [
      "a key of its own under that id",
      get("/", { headers: await signHeaders({ ...HELD, secretAccessKey: "guessed" }, "s3", get()) }),
      403,
    ],
    [
      "the real id without the placeholder",
      get("/", { headers: await signHeaders({ ...REAL, secretAccessKey: "guessed" }, "s3", get()) }),
      403,
    ],
    ["another body", post('{"TableName":"other"}', { headers: { ...signed, "content-length": "21" } }), 403],
    ["another path", get("/bucket/other", { query: { a: "1" }, headers: plain }), 403],
    ["another query", get("/bucket/mine", { query: { a: "2" }, headers: plain }), 403],
    ["another method", { ...get("/bucket/mine", { query: { a: "1" }, headers: plain }), method: "DELETE" }, 403],
    ["another time", post('{"TableName":"mine"}', { headers: { ...signed, "x-amz-date": "20200101T000000Z" } }), 403],
    [
      "a header that was signed and is gone",
      { ...post('{"TableName":"mine"}'), headers: without(signed, "content-type") },
      403,
    ],
    [
      "a header that was signed and is another",
      post('{"TableName":"mine"}', { headers: { ...signed, "content-type": "text/plain" } }),
      403,
    ],
    [
      "no host in the signature",
      post("{}", { headers: { ...signed, authorization: authorization.replace(";host", "") } }),
      403,
    ],
    [
      "another region",
      post('{"TableName":"mine"}', {
        headers: { ...signed, authorization: authorization.replace("eu-central-1", "us-east-1") },
      }),
      403,
    ],
    ["a URL for another object", get(url.replace("mine", "other")), 403],
    ["a URL that lasts longer", get(url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000")), 403],
    ["two signatures", get(url, { headers: { authorization } }), 403],
    [
      "SigV4a",
      get("/", {
        headers: {
          authorization: `AWS4-ECDSA-P256-SHA256 Credential=${HELD.accessKeyId}/20260101/s3/aws4_request, SignedHeaders=host, Signature=00`,
        },
      }),
      501,
    ],
    [
      "an event stream",
      post("{}", { headers: { ...signed, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-EVENTS" } }),
      501,
    ],
  ];
  for (const [what, request, status] of cases) {
    const got = await send(pair, request);
    assert.deepEqual(
      [got.status, /^firebreak: not signed with the key AWS_SECRET_ACCESS_KEY: /.test(got.body)],
      [status, true],
      `${what}: ${got.body}`,
    );
    assertUnseen(pair, got);
  }
  assert.equal(flows.upstream.received.length, 0);
  const denied = pair.events().filter(({ verdict, protocol }) => verdict === "denied" && protocol === "http");
  assert.ok(
    denied.length > 0 && denied.every(({ why }) => why?.startsWith("not signed with the key AWS_SECRET_ACCESS_KEY")),
  );
});

test("attacks: another host gets the guest's own signature, and the key is in no place of a request, whatever asks for it", async () => {
  const other = await flows.openUpstream("other.test");
  const secrets = awsSecrets(flows.upstream.port);
  const pair = await open(secrets);
  const request = get("/", { headers: { host: "other.test" } });
  const headers = await signHeaders(HELD, "s3", request);
  await send(pair, { ...request, headers }, other.port, "other.test");
  assert.equal(other.received.at(-1)?.headers.authorization, headers.authorization);
  await waitFor(() =>
    pair
      .events()
      .some(({ why }) => /placeholder of AWS_ACCESS_KEY_ID was sent to other\.test as it is/.test(why ?? "")),
  );
  // Under the name of the other host to this one.
  assert.equal((await send(pair, { ...request, headers })).status, 421);
  const held = HELD.secretAccessKey;
  await send(
    pair,
    post(held, {
      query: { q: held },
      headers: { "x-key": held, authorization: `Basic ${btoa(`a:${held}`)}`, "content-type": "text/plain" },
    }),
  );
  assert.equal(flows.upstream.received.at(-1)?.headers["x-key"], held);
  assertUnseen(pair);
  await waitFor(() => pair.events().some(({ why }) => /placeholder of AWS_SECRET_ACCESS_KEY was sent/.test(why ?? "")));
  // A client with keys of its own is none of ours.
  const own = await signHeaders({ accessKeyId: "AKIAOWN", secretAccessKey: "own" }, "s3", get());
  await send(pair, get("/", { headers: own }));
  assert.equal(flows.upstream.received.at(-1)?.headers.authorization, own.authorization);
});

test("a body is read for its hash alone, and up to a limit; what says its hash goes through", async () => {
  const pair = await open();
  const large = "x".repeat(MAX_BODY_BYTES + 1);
  const got = await sendSigned(pair, "dynamodb", post(large));
  assert.deepEqual([got.status, /have the client send X-Amz-Content-Sha256/.test(got.body)], [413, true], got.body);
  for (const hash of ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", undefined]) {
    const headers: Record<string, string> = hash === undefined ? {} : { "x-amz-content-sha256": hash };
    assert.equal((await sendSigned(pair, "s3", post(large, { headers }))).status, 200);
    assert.equal((await assertJudged("s3")).body.length, large.length);
  }
});

test("bodies that are signed in chunks are signed anew, chunk by chunk, and only those", async () => {
  const pair = await open();
  const chunks = ["a".repeat(64 * 1024), "b".repeat(1000), ""];
  for (const trailer of [undefined, { "x-amz-checksum-crc32": "AAAAAA==" }]) {
    const hash = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer === undefined ? "" : "-TRAILER"}`;
    const length = (
      await signChunks(HELD, "s3", { authorization: "Signature=", "x-amz-date": "20260101T000000Z" }, chunks, trailer)
    ).length;
    const request = post("", {
      method: "PUT",
      headers: { "content-length": String(length), "content-encoding": "aws-chunked", "x-amz-content-sha256": hash },
    });
    const headers = await signHeaders(HELD, "s3", request);
    const body = await signChunks(HELD, "s3", headers, chunks, trailer);
    const got = await send(pair, { ...request, headers, body });
    assert.equal(got.status, 200, got.body);
    const received = await assertJudged("s3");
    const given = received.headers as Record<string, string>;
    assert.equal(received.body, await signChunks(REAL, "s3", given, chunks, trailer));
    assertUnseen(pair, got);
    const before = flows.upstream.received.length;
    for (const altered of [
      body.replace("bbb", "bab"),
      body.replace(/^(.{60})./, "$10"),
      body.replace("AAAAAA", "AAAAAB"),
    ]) {
      if (altered === body) continue;
      const refused = await send(pair, { ...request, headers, body: altered });
      assert.deepEqual([refused.status, /signature of a chunk/.test(refused.body)], [403, true], refused.body);
    }
    assert.equal(flows.upstream.received.length, before);
  }
});

test("values in bodies are signed with them", async () => {
  const value = "a-value-0123456789";
  const token = secretOf("TOKEN", value, { hosts: [`api.test:${flows.upstream.port}`], places: ["body"] });
  const pair = await open([...awsSecrets(flows.upstream.port), token]);
  for (const service of ["s3", "dynamodb"]) {
    const got = await sendSigned(pair, service, post(JSON.stringify({ key: token.placeholder })));
    assert.equal(got.status, 200, got.body);
    assert.equal((await assertJudged(service)).body, JSON.stringify({ key: value }));
  }
  const request = post(JSON.stringify({ key: token.placeholder }));
  const headers = await signHeaders(HELD, "s3", request);
  const altered = await send(pair, { ...request, body: String(request.body).replace("key", "yek"), headers });
  assert.equal(altered.status, 403);
});

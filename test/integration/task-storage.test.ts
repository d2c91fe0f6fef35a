import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ChosenStorage } from "../../src/tasks/results/chosen.ts";
import { LocalStorage } from "../../src/tasks/results/local.ts";
import { type S3Options, S3Storage, urlOf } from "../../src/tasks/results/s3.ts";
import { hasCode } from "../support/has-code.ts";
import { S3_KEYS, S3_REGION, startS3Server } from "../support/s3-server.ts";

let folder: string;
let server: Awaited<ReturnType<typeof startS3Server>>;
const spoilers: (() => void)[] = [];
const agent = new http.Agent({ keepAlive: true });
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fb-s3-"));
  server = await startS3Server(path.join(folder, "s3"));
});
after(async () => {
  for (const close of spoilers) close();
  agent.destroy();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const settings = () => ({ bucket: "results", prefix: "tasks/a", endpoint: server.endpoint, region: S3_REGION });
const storageAt = (endpoint: string, fields: Partial<S3Options> = {}) =>
  new S3Storage({ settings: { ...settings(), endpoint }, keys: () => S3_KEYS, agent, waitsMs: [1, 1, 1], ...fields });

async function makeFile(sizeBytes: number) {
  const content = randomBytes(sizeBytes);
  const file = path.join(folder, `part-${randomBytes(4).toString("hex")}`);
  await writeFile(file, content);
  return { content, file, digest: `sha256:${createHash("sha256").update(content).digest("hex")}` };
}

test("files go to a bucket and come back whole, in parts, and not once they are deleted", async () => {
  const storage = storageAt(server.endpoint);
  assert.equal(storage.place, "s3://results/tasks/a");
  for (const size of [0, 1, 20 * 1024 * 1024 + 1]) {
    const { content, file, digest } = await makeFile(size);
    await storage.put(digest, file, size);
    assert.equal(existsSync(file), false);
    assert.ok((await buffer(await storage.get(digest, {}))).equals(content));
  }
  const { content, file, digest } = await makeFile(100_000);
  await storage.put(digest, file, content.length);
  const part = async (offset?: number, length?: number) => buffer(await storage.get(digest, { offset, length }));
  assert.ok((await part(70_000, 1_000)).equals(content.subarray(70_000, 71_000)));
  assert.ok((await part(99_990, 1_000)).equals(content.subarray(99_990)));
  assert.ok((await part(50_000)).equals(content.subarray(50_000)));
  assert.ok((await part(undefined, 10)).equals(content.subarray(0, 10)));
  assert.equal((await part(100_000, 1)).length, 0);
  assert.equal((await part(0, 0)).length, 0);
  await storage.delete(digest);
  await assert.rejects(storage.get(digest, {}), hasCode("ARTIFACT_CORRUPT"));
  await storage.delete(digest);
});

test("what refuses is told of with its own words, at once", async () => {
  const { file, digest } = await makeFile(10);
  const keys = () => ({ ...S3_KEYS, secretAccessKey: "another" });
  const refused = storageAt(server.endpoint, { keys }).put(digest, file, 10);
  await assert.rejects(
    refused,
    (error) => hasCode("RESULT_STORAGE_FAILED")(error) && /403: SignatureDoesNotMatch/.test(String(error)),
  );
  const elsewhere = storageAt(server.endpoint, { settings: { ...settings(), bucket: "nobodys" } });
  await assert.rejects(
    elsewhere.get(digest, {}),
    (error) => hasCode("RESULT_STORAGE_FAILED")(error) && /NoSuchBucket/.test(String(error)),
  );
  assert.ok(existsSync(file));
  // On its way, or on this host's disk, it has become another.
  const other = await makeFile(10);
  await assert.rejects(storageAt(server.endpoint).put(digest, other.file, 10), /SHA256Mismatch/);
});

/** Passes on to the server, after `spoil` has had its way. */
async function startSpoiler(
  spoil: (nth: number, request: http.IncomingMessage, response: http.ServerResponse) => boolean,
) {
  let requests = 0;
  const spoiler = http.createServer((request, response) => {
    if (spoil(++requests, request, response)) return;
    const { port } = new URL(server.endpoint);
    const options = { host: "127.0.0.1", port, method: request.method, path: request.url, headers: request.headers };
    const onward = http.request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  spoiler.listen(0, "127.0.0.1");
  await once(spoiler, "listening");
  const endpoint = `http://127.0.0.1:${(spoiler.address() as AddressInfo).port}`;
  const close = () => {
    spoiler.closeAllConnections();
    spoiler.close();
  };
  spoilers.push(close);
  return { endpoint, count: () => requests };
}

test("a service that is busy, or breaks off, is asked again; one that stays so is not asked for ever", async () => {
  const { content, file, digest } = await makeFile(300_000);
  const busy = await startSpoiler((nth, request, response) => {
    if (nth === 1) response.writeHead(503).end("<Error><Code>SlowDown</Code></Error>");
    if (nth === 2) request.socket.destroy();
    return nth <= 2;
  });
  await storageAt(busy.endpoint).put(digest, file, content.length);
  assert.equal(busy.count(), 3);
  assert.ok((await buffer(await storageAt(server.endpoint).get(digest, {}))).equals(content));
  const down = await startSpoiler((_nth, _request, response) => {
    response.writeHead(500).end("<Error><Code>InternalError</Code></Error>");
    return true;
  });
  await assert.rejects(storageAt(down.endpoint).get(digest, {}), hasCode("RESULT_STORAGE_FAILED"));
  assert.equal(down.count(), 4);
  const silent = await startSpoiler(() => true);
  await assert.rejects(
    storageAt(silent.endpoint, { idleMs: 100, waitsMs: [] }).get(digest, {}),
    (error) => hasCode("RESULT_STORAGE_FAILED")(error) && /nothing came/.test(String(error)),
  );
});

test("a download that breaks off is gone on with from there", async () => {
  const { content, file, digest } = await makeFile(300_000);
  await storageAt(server.endpoint).put(digest, file, content.length);
  const ranges: (string | undefined)[] = [];
  const breaking = await startSpoiler((nth, request, response) => {
    ranges.push(request.headers.range);
    if (nth > 1) return false;
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 100_000), () => setImmediate(() => response.destroy()));
    return true;
  });
  assert.ok((await buffer(await storageAt(breaking.endpoint).get(digest, {}))).equals(content));
  assert.equal(ranges.length, 2);
  assert.match(ranges[1] ?? "", /^bytes=[1-9]\d*-$/);
});

test("what the storage does not take is kept on this host, and found there; so is what was there before", async () => {
  const told: string[] = [];
  const local = new LocalStorage(path.join(folder, "local"));
  const free = net.createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  let endpoint = `http://127.0.0.1:${port}`;
  const storage = new ChosenStorage({ local, remote: () => storageAt(endpoint), log: (message) => told.push(message) });
  const first = await makeFile(1_000);
  await storage.put(first.digest, first.file, 1_000);
  assert.deepEqual(told, ["a task's file is kept on this host"]);
  assert.ok((await buffer(await storage.get(first.digest, {}))).equals(first.content));
  endpoint = server.endpoint;
  const second = await makeFile(1_000);
  await storage.put(second.digest, second.file, 1_000);
  await assert.rejects(local.get(second.digest, {}), hasCode("ARTIFACT_CORRUPT"));
  for (const { digest, content } of [first, second]) {
    assert.ok((await buffer(await storage.get(digest, {}))).equals(content));
    await storage.delete(digest);
    await assert.rejects(storage.get(digest, {}), hasCode("ARTIFACT_CORRUPT"));
  }
});

test("a storage that does not answer holds up one file, and not all those behind it", async () => {
  let isSilent = true;
  const silent = await startSpoiler(() => isSilent);
  const remote = storageAt(silent.endpoint, { idleMs: 200, waitsMs: [] });
  const local = new LocalStorage(path.join(folder, "local"));
  const storage = new ChosenStorage({ local, remote: () => remote, log: () => {}, patienceMs: 100, restMs: 1_000 });
  const files = await Promise.all(Array.from({ length: 20 }, () => makeFile(10)));
  for (const { digest, file } of files) await storage.put(digest, file, 10);
  for (const { digest } of files.slice(1)) await storage.delete(digest);
  assert.equal(silent.count(), 1);
  assert.ok((await buffer(await storage.get(files[0]?.digest as string, {}))).equals(files[0]?.content as Buffer));
  isSilent = false;
  await sleep(1_000);
  const { digest, file } = await makeFile(10);
  await storage.put(digest, file, 10);
  await assert.rejects(local.get(digest, {}), hasCode("ARTIFACT_CORRUPT"));
});

test("an answer that comes byte for byte is waited for no longer than another", async () => {
  const dripping = await startSpoiler((_nth, request) => {
    const drip = setInterval(() => request.socket.write("H"), 20);
    request.socket.write("HTTP/1.1 200 OK\r\nx: ");
    request.socket.once("close", () => clearInterval(drip)).on("error", () => {});
    return true;
  });
  const storage = storageAt(dripping.endpoint, { answerMs: 300, waitsMs: [] });
  const { digest, file } = await makeFile(10);
  await assert.rejects(
    storage.put(digest, file, 10),
    (error) => hasCode("RESULT_STORAGE_FAILED")(error) && /no answer for/.test(String(error)),
  );
});

test("a bucket of AWS is a host; elsewhere it is in the path", () => {
  const at = { bucket: "b", prefix: "p/q", endpoint: undefined, region: "eu-central-1" };
  assert.equal(urlOf(at, "x").href, "https://b.s3.eu-central-1.amazonaws.com/p/q/x");
  assert.equal(
    urlOf({ ...at, prefix: "", endpoint: "https://s3.example.com/" }, "x").href,
    "https://s3.example.com/b/x",
  );
});

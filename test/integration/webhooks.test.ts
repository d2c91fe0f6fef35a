import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { encodeOnBehalf, ON_BEHALF_HEADER } from "../../src/contract/on-behalf.ts";
import type { Task, TaskCreate } from "../../src/contract/task.ts";
import { taskCreateSchema } from "../../src/contract/task.ts";
import { dialRemotes } from "../../src/daemon/remote-dial.ts";
import { createWebhookPost } from "../../src/daemon/webhook-post.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SqliteTaskStore } from "../../src/store/tasks.ts";
import { SqliteDeliveryStore } from "../../src/store/webhooks.ts";
import type { Delivery } from "../../src/tasks/webhooks/delivery-store.ts";
import { WebhookSender, type WebhookSenderOptions } from "../../src/tasks/webhooks/sender.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

interface Got {
  path: string;
  headers: Record<string, string>;
  body: string;
}
type Answer = (response: http.ServerResponse) => void;

let receiver: http.Server;
let base: string;
const got: Got[] = [];
/** By path; what has none is answered with 204. */
const answers = new Map<string, Answer>();
const at = (path: string) => got.filter((each) => each.path === path);

let fixture: DaemonFixture;
before(async () => {
  receiver = http.createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const path = request.url ?? "";
    got.push({ path, headers: request.headers as Record<string, string>, body: Buffer.concat(pieces).toString() });
    const answer = answers.get(path);
    if (answer === undefined) response.writeHead(204).end();
    else answer(response);
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  base = `http://localhost:${(receiver.address() as AddressInfo).port}`;
  fixture = await startDaemonFixture();
});
after(async () => {
  await fixture.close();
  receiver.closeAllConnections();
  receiver.close();
});

/** It fails before it has a VM: it was to have begun long ago. */
const late = (webhooks: NonNullable<TaskCreate["webhooks"]>): TaskCreate => ({
  agent: "command",
  argv: ["true"],
  deadlineAt: "2026-01-01T00:00:00Z",
  labels: { team: "x" },
  webhooks,
});

test("the end of a task is told once, signed as the specification says, and its usage is counted", async () => {
  const secret = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
  const host = new URL(base).host;
  const set = await fixture.cli(["secret", "set", "HOOK", "--host", host], { input: secret });
  assert.equal(set.exitCode, 0, set.stderr);
  const { id } = await fixture.client.tasks.create(late([{ url: `${base}/told?of=it`, secret: "HOOK" }]));
  await waitFor(async () => (await fixture.client.tasks.get(id)).webhooks?.[0]?.state === "delivered");
  const [first, ...others] = at("/told?of=it");
  assert.ok(first);
  assert.deepEqual(others, []);
  const event = new Webhook(secret).verify(first.body, first.headers) as { type: string; data: Task };
  assert.equal(event.type, "task.failed");
  assert.deepEqual([event.data.id, event.data.state, event.data.finish], [id, "failed", "timeout"]);
  assert.equal(first.body.includes(secret), false);
  assert.deepEqual((await fixture.client.tasks.get(id)).webhooks, [{ host, state: "delivered", tries: 1 }]);
  await fixture.client.tasks.delete(id);
  const { stdout } = await fixture.ok("usage", "--by", "label:team");
  assert.match(stdout, /^LABEL:TEAM +TASKS.*\nx +1 /);
});

test("the command names receivers, and tells how it went with them", async () => {
  const key = ["whsec", Buffer.from("a key of the command line's own").toString("base64")].join("_");
  assert.equal((await fixture.cli(["secret", "set", "CLI_HOOK", "--host", "localhost:*"], { input: key })).exitCode, 0);
  const hooks = ["--webhook", `${base}/signed#CLI_HOOK`, "--webhook", `${base}/plain`];
  const { stdout } = await fixture.ok("task", "run", "--detach", ...hooks, "--deadline", "1ms", "--", "true");
  await waitFor(() => at("/signed").length > 0 && at("/plain").length > 0);
  const [signed] = at("/signed");
  new Webhook(key).verify(signed?.body ?? "", signed?.headers ?? {});
  assert.equal(at("/plain")[0]?.headers["webhook-signature"], undefined);
  const { host } = new URL(base);
  await waitFor(async () =>
    (await fixture.ok("task", "get", stdout.trim())).stdout.includes(`${host} delivered, ${host} delivered`),
  );
  const wrong = await fixture.cli(["task", "run", "--webhook", "ftp://hooks.test/x", "--", "true"]);
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /^firebreak: --webhook: it is a URL with http or https/);
});

test("this host is one receiver, by its name and by its address, with the secret that is for localhost", async () => {
  const { port } = new URL(base);
  const wrong = await fixture.cli(["secret", "set", "LOCAL", "--host", `127.0.0.1:${port}`], {
    input: "a long secret",
  });
  assert.match(wrong.stderr, new RegExp(`SECRET_INVALID\\)\\n.*--host localhost:${port}\\n`));
  const set = await fixture.cli(["secret", "set", "LOCAL", "--host", `localhost:${port}`], { input: "a long secret" });
  assert.equal(set.exitCode, 0, set.stderr);
  const hook = (host: string) => ["--webhook", `http://${host}:${port}/local-${host}#LOCAL`];
  await fixture.ok(
    "task",
    "run",
    "--detach",
    ...hook("localhost"),
    ...hook("127.0.0.1"),
    "--deadline",
    "1ms",
    "--",
    "true",
  );
  for (const host of ["localhost", "127.0.0.1"]) {
    await waitFor(() => at(`/local-${host}`).length === 1);
    const [told] = at(`/local-${host}`);
    new Webhook("a long secret", { format: "raw" }).verify(told?.body ?? "", told?.headers ?? {});
  }
});

test("the next daemon goes on with what was not delivered, of a task that is deleted by then, too", async () => {
  let isRestarted = false;
  answers.set("/later", (response) => response.writeHead(isRestarted ? 200 : 503).end());
  const { id } = await fixture.client.tasks.create(late([{ url: `${base}/later` }]));
  await waitFor(async () => (await fixture.client.tasks.get(id)).webhooks?.[0]?.tries === 1);
  await fixture.client.tasks.delete(id);
  await fixture.ok("daemon", "stop");
  const before = at("/later").length;
  isRestarted = true;
  await fixture.ok("daemon", "start");
  await waitFor(() => at("/later").length > before);
  const [first, second] = [at("/later")[0], at("/later").at(-1)];
  assert.equal(second?.headers["webhook-id"], first?.headers["webhook-id"]);
  assert.equal(second?.body, first?.body);
  assert.equal("webhook-signature" in (second?.headers ?? {}), false);
});

test("who has an API key names no private receiver, by address or by name, and no secret for another host", async () => {
  const key = { [ON_BEHALF_HEADER]: encodeOnBehalf({ id: "k1", name: "ci" }) };
  const create = (url: string, secret?: string) =>
    request(fixture.paths.socket, key, late([{ url, ...(secret === undefined ? {} : { secret }) }]));
  for (const url of [`${base}/x`, "http://127.0.0.1/", "http://[::1]/", "https://10.0.0.1/", "http://169.254.169.254/"])
    assert.equal((await create(url)).error?.code, "EGRESS_DENIED", url);
  assert.equal((await create("https://hooks.example.com/", "HOOK")).error?.code, "SECRET_INVALID");
  assert.equal((await create("https://hooks.example.com/", "NONE")).error?.code, "SECRET_NOT_FOUND");
  assert.equal(at("/x").length, 0);
  // Those on this host do not reach what tells machines their keys, either.
  await assert.rejects(fixture.client.tasks.create(late([{ url: "http://169.254.169.254/" }])), {
    code: "EGRESS_DENIED",
  });
});

const delivery = (path: string, fields: Partial<Delivery> = {}): Delivery => ({
  id: `msg_${path}`,
  task: "t",
  url: `${base}${path}`,
  secret: undefined,
  isConfined: false,
  body: "{}",
  state: "pending",
  tries: 0,
  dueAt: new Date(0).toISOString(),
  reason: undefined,
  ...fields,
});

interface SenderSettings extends Partial<WebhookSenderOptions> {
  resolve?: (name: string) => Promise<string[]>;
  /** Whether there is nothing more to wait for. */
  until?: (store: SqliteDeliveryStore) => boolean;
}

async function deliver(deliveries: Delivery[], { resolve, until, ...options }: SenderSettings = {}) {
  const database = openDatabase(":memory:");
  // Deliveries of tasks that there are not are forgotten with their ends.
  const { files, ...request } = taskCreateSchema.parse({ agent: "command", argv: ["true"] });
  const ended = { id: "t", request, state: "failed" as const, user: undefined, createdAt: "", attempt: 1 };
  new SqliteTaskStore(database).insert(ended, files);
  const store = new SqliteDeliveryStore(database);
  for (const each of deliveries) store.insert(each);
  const post = createWebhookPost(dialRemotes({ env: {}, ...(resolve === undefined ? {} : { resolve }) }));
  const waitsMs = [1, 1, 1, 1];
  const sender = new WebhookSender({ store, post, secretFor: () => "", log: () => {}, waitsMs, ...options });
  sender.wake();
  await waitFor(() => until?.(store) ?? store.pending(1).length === 0);
  await sender.close();
  return store.ofTask("t");
}

test("a name that leads to this host by the time of a try is not gone to for one with an API key", async () => {
  const resolve = async () => ["127.0.0.1"];
  const url = base.replace("localhost", "hooks.example.com");
  const [confined] = await deliver([delivery("/c", { url: `${url}/c`, isConfined: true })], { resolve });
  assert.deepEqual([confined?.state, confined?.tries], ["failed", 1]);
  assert.match(confined?.reason ?? "", /loopback/);
  const [local] = await deliver([delivery("/l", { url: `${url}/l` })], { resolve });
  assert.equal(local?.state, "delivered");
  assert.deepEqual([at("/c").length, at("/l").length], [0, 1]);
});

test("five tries, no redirect is followed, and a receiver that is gone is asked once", async () => {
  answers.set("/redirects", (response) => response.writeHead(307, { location: `${base}/target` }).end());
  answers.set("/gone", (response) => response.writeHead(410).end());
  const ends = await deliver([delivery("/redirects"), delivery("/gone")]);
  assert.deepEqual(
    ends.map(({ state, tries, reason }) => [state, tries, reason]),
    [
      ["failed", 5, "the answer was 307"],
      ["failed", 1, "the answer was 410"],
    ],
  );
  assert.deepEqual([at("/redirects").length, at("/gone").length, at("/target").length], [5, 1, 0]);
});

test("a receiver that is silent is given up, and one that does not stop talking is not listened to", async () => {
  let taken = 0;
  answers.set("/silent", () => {});
  answers.set("/endless", (response) => {
    response.writeHead(200);
    const piece = Buffer.alloc(64 * 1024);
    const talk = () => {
      while (!response.destroyed && response.write(piece)) taken += piece.length;
      if (!response.destroyed) response.once("drain", talk);
    };
    talk();
  });
  const ends = await deliver([delivery("/silent"), delivery("/endless")], { deadlineMs: 2_000, waitsMs: [] });
  assert.deepEqual(
    ends.map(({ state }) => state),
    ["failed", "delivered"],
  );
  assert.match(ends[0]?.reason ?? "", /no answer within/);
  // What was on its way in buffers of kernels counts, too.
  assert.ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken`);
});

test("many of one host that does not answer keep no others waiting, and are sent again by the next sender", async () => {
  answers.set("/mute", () => {});
  const mute = Array.from({ length: 20 }, (_, n) => delivery("/mute", { id: `mute-${n}` }));
  const other = delivery("/other", { url: `${base.replace("localhost", "127.0.0.1")}/other` });
  const isTold = (store: SqliteDeliveryStore) => store.ofTask("t").some(({ state }) => state === "delivered");
  const ends = await deliver([...mute, other], { until: isTold, deadlineMs: 3600_000 });
  const pending = ends.filter(({ state, tries }) => state === "pending" && tries === 0);
  assert.equal(pending.length, 20);
});

async function request(socketPath: string, headers: Record<string, string>, body: unknown) {
  const call = http.request({
    socketPath,
    method: "POST",
    path: "/v1/tasks",
    headers: { ...headers, "content-type": "application/json" },
    agent: false,
  });
  call.end(JSON.stringify(body));
  const [response] = (await once(call, "response")) as [http.IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString()) as { error?: { code: string } };
}

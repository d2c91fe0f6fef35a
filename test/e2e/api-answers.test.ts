import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { errorBodySchema } from "../../src/contract/error.ts";
import { ROUTES } from "../../src/contract/routes/index.ts";
import type { Route } from "../../src/contract/routes/route.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/** What a real daemon answers is what the API's description says: nothing is missing, and nothing is there that it does not have. */

let daemon: DaemonFixture;
let url: string;
let headers: Record<string, string>;
/** What stands in the place of a path's variable parts, by the path before and with the part. */
const parts: Record<string, string> = {};
before(async () => {
  daemon = await startDaemonFixture();
  const prices = '[prices]\ncurrency = "EUR"\ncpu_hour = 0.01\ngib_hour = 0.005\n';
  await writeFile(path.join(daemon.paths.home, "firebreak.toml"), prices);
  const { key } = await daemon.client.keys.create({ name: "user" });
  headers = { authorization: `Bearer ${key}` };
  url = (await daemon.client.listen({ address: "127.0.0.1:0" })).url as string;
  await check("POST", "/v1/vms", { body: { name: "one", labels: { a: "b" } } });
  await check("POST", "/v1/vms/one/snapshots", { body: { name: "ready" }, as: "/v1/vms/:vm/snapshots" });
  const directory = path.join(daemon.folder, "work");
  await mkdir(directory);
  await writeFile(path.join(directory, "file"), "of the host");
  await daemon.client.workspaces.push("one", { directory });
  const stream = await daemon.client.execs.start("one", { argv: ["sleep", "600"], detach: true });
  for await (const _ of stream.output()) break;
  await check("POST", "/v1/volumes", { body: { name: "data", sizeMib: 64 } });
  Object.assign(parts, {
    "/v1/drives/:drive": "data",
    "/v1/volumes/:volume": "data",
    "/v1/vms/:vm": "one",
    "/v1/snapshots/:snapshot": "ready",
    "/v1/images/:name": "debian",
    "/v1/kernels/:id": (await daemon.client.kernels.list()).find(({ isCurrent }) => isCurrent)?.id,
    "/v1/templates/:id": (await daemon.client.templates.list())[0]?.id,
    "/v1/vms/:vm/execs/:id": stream.started?.id,
  });
});
after(() => daemon.close());

function routeOf(method: string, row: string): Route {
  const route = Object.values(ROUTES)
    .flat()
    .find((one) => one.method === method && one.path === row);
  assert.ok(route !== undefined, `${method} ${row}`);
  return route;
}

/** Asks for it and compares the answer with its description. */
async function check(
  method: string,
  target: string,
  { body, as }: { body?: unknown; as?: string } = {},
): Promise<void> {
  const { answer } = routeOf(method, as ?? target.split("?")[0] ?? "");
  assert.ok(answer.form === "json" || answer.form === "lines");
  const response = await fetch(url + target, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.equal(response.status, answer.status ?? 200, text);
  const value = JSON.parse(answer.form === "json" ? text : (text.trim().split("\n").at(-1) ?? ""));
  const found = answer.form === "json" ? value : value.result;
  // What a schema does not have, its parsing leaves out.
  assert.deepEqual(answer.schema.parse(found), found, `${method} ${target}`);
}

/** Whether there is none of what is asked for here, which there need not be. */
async function isMissing(target: string): Promise<boolean> {
  const response = await fetch(url + target, { headers });
  const { error } = (await response.json()) as { error?: { code: string } };
  return [404, 412].includes(response.status) && error?.code !== "ROUTE_NOT_FOUND";
}

/** A path with its variable parts filled in; undefined where this test has nothing to put there. */
function fill(row: string): string | undefined {
  let known = "";
  let filled = "";
  for (const word of row.split("/").slice(1)) {
    known += `/${word}`;
    const value = word.startsWith(":") ? parts[known] : word;
    if (value === undefined) return undefined;
    filled += `/${value}`;
  }
  return filled;
}

test("answers to GET are as described", async (t) => {
  const rows = Object.values(ROUTES)
    .flat()
    .filter(({ method, answer, isLocal }) => method === "GET" && answer.form === "json" && !isLocal);
  const unfilled: string[] = [];
  for (const { path: row, query } of rows) {
    const filled = fill(row);
    if (filled === undefined || (await isMissing(filled))) unfilled.push(row);
    else await check("GET", Object.hasOwn(query?.shape ?? {}, "path") ? `${filled}?path=/root` : filled, { as: row });
  }
  assert.ok(rows.length - unfilled.length >= 18, `only ${rows.length - unfilled.length} were looked at`);
  if (unfilled.length > 0) t.diagnostic(`not looked at: ${unfilled.join(", ")}`);
});

test("answers that change a VM are as described", async () => {
  const vm = (verb: string, body: unknown = {}) =>
    check("POST", `/v1/vms/one/${verb}`, { body, as: `/v1/vms/:vm/${verb}` });
  await check("PATCH", "/v1/vms/one", { body: { labels: { c: "d" } }, as: "/v1/vms/:vm" });
  await vm("wait", { for: ["running"] });
  await vm("pause");
  await vm("resume");
  await vm("suspend");
  await vm("resume");
  await vm("fork", { name: "two" });
  await check("DELETE", "/v1/vms/two", { as: "/v1/vms/:vm" });
  await vm("stop", { force: true });
  await vm("start");
  await check("POST", "/v1/vms/one/dir?path=/root/new", { as: "/v1/vms/:vm/dir" });
  await check("POST", "/v1/vms/one/move", { body: { from: "/root/new", to: "/root/newer" }, as: "/v1/vms/:vm/move" });
  await check("DELETE", "/v1/vms/one/file?path=/root/newer&recursive=true", { as: "/v1/vms/:vm/file" });
  await check("POST", "/v1/snapshots/ready/fork", { body: { name: "three" }, as: "/v1/snapshots/:snapshot/fork" });
  await check("DELETE", "/v1/snapshots/ready", { as: "/v1/snapshots/:snapshot" });
});

test("what goes wrong is an error as described", async () => {
  for (const target of ["/v1/vms/nobody", "/v1/nothing", "/v1/vms/one/stat?path=relative", "/v1/keys"]) {
    const response = await fetch(url + target, { headers });
    const { error } = (await response.json()) as { error: unknown };
    assert.ok(response.status >= 400);
    assert.deepEqual(errorBodySchema.strict().parse(error), error, target);
  }
});

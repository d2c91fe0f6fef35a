import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ROUTES } from "../../contract/routes/index.ts";
import { createApi } from "./app.ts";

/** Handlers have nothing to work with, and fail at once with another error: what is of interest comes before them. */
const api = createApi({ log: () => {} } as never);

async function ask(method: string, path: string): Promise<{ message: string; hint?: string } | undefined> {
  const bindings = { caller: { via: "socket" }, incoming: {}, outgoing: { once: () => {} } };
  const response = await api.request(path, { method }, bindings);
  const { error } = (await response.json()) as { error: { code: string; message: string; hint?: string } };
  return error.code === "INVALID_ARGUMENT" ? error : undefined;
}

test("a query parameter that a request does not have is refused, with the nearest that it has", async () => {
  assert.match((await ask("GET", "/v1/vms/one/logs?folow=true"))?.hint ?? "", /Did you mean 'follow'\?/);
  assert.match((await ask("GET", "/v1/vms?lable=a"))?.message ?? "", /GET \/v1\/vms has no query parameter 'lable'/);
  assert.match((await ask("GET", "/v1/status?verbose=true"))?.hint ?? "", /takes none/);
  assert.match((await ask("DELETE", "/v1/vms/one/file?path=/x&__proto__=1"))?.message ?? "", /'__proto__'/);
  assert.match((await ask("DELETE", "/v1/vms/one/file?path=/x&constructor=1"))?.message ?? "", /'constructor'/);
});

test("a value that a query parameter does not take is refused rather than taken for no", async () => {
  for (const query of ["recursive=yes", "recursive=1", "recursive=TRUE", "path=/x&path=/y"])
    assert.ok((await ask("DELETE", `/v1/vms/one/file?path=/x&${query}`)) !== undefined, query);
  for (const query of ["limit=0", "limit=ten", "limit=1e3", "limit=-1", "limit=1.5", "limit=10001"])
    assert.ok((await ask("GET", `/v1/vms/one/dir?path=/x&${query}`)) !== undefined, query);
  assert.match(
    (await ask("GET", "/v1/tasks?state=done"))?.message ?? "",
    /'done' is not taken: one of queued, starting, /,
  );
});

test("what a request takes is taken, be it text, a number, a yes or no, or several", async () => {
  for (const [method, path] of [
    ["DELETE", "/v1/vms/one/file?path=/x&recursive=true"],
    ["DELETE", "/v1/vms/one/file?path=true&recursive=false"],
    ["GET", "/v1/vms/one/dir?path=/x&limit=10&after=5"],
    ["GET", "/v1/vms/one/dir?path=/x&limit="],
    ["GET", "/v1/vms?label=a=b&label=c"],
    ["GET", "/v1/vms?label=a"],
  ])
    assert.equal(await ask(method as string, path as string), undefined, path);
});

test("every query parameter that a handler looks at is described", () => {
  const described = new Set(
    Object.values(ROUTES)
      .flat()
      .flatMap(({ query }) => Object.keys(query?.shape ?? {})),
  );
  for (const file of globSync("src/daemon/api/*-routes.ts")) {
    for (const [, name] of readFileSync(file, "utf8").matchAll(/\bquer(?:y|ies)\("(\w+)"\)/g))
      assert.ok(described.has(name as string), `${file} looks at '${name}', which no row in src/contract/routes has`);
  }
});

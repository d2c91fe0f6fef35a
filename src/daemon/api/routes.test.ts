import assert from "node:assert/strict";
import { test } from "node:test";
import { ROUTES } from "../../contract/routes/index.ts";
import { createApi } from "./app.ts";

/** No handler runs: what they work with is not needed. */
const api = createApi({} as never);
const registered = new Set(
  api.routes.filter(({ path }) => path.startsWith("/v1/")).map(({ method, path }) => `${method} ${path}`),
);
const described = Object.values(ROUTES)
  .flat()
  .map(({ method, path }) => `${method} ${path}`);

test("every request that the daemon answers is described", () => {
  for (const request of registered) {
    assert.ok(
      described.includes(request),
      `${request} is not described: add a row to src/contract/routes/<noun>.ts, such as
  { method: "GET", path: "/v1/things/:thing", summary: "One thing", answer: json(thingSchema) },
with the schemas of what goes in and out (their home is src/contract), a new file to src/contract/routes/index.ts, and run 'make reference'`,
    );
  }
});

test("every request that is described is answered, once", () => {
  assert.equal(new Set(described).size, described.length);
  for (const request of described)
    assert.ok(
      registered.has(request),
      `${request} is described in src/contract/routes and not answered: take its row out`,
    );
});

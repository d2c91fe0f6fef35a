import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { isNestedDeeperThan, readBody } from "./request-body.ts";

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

test("nesting is counted as it is in the value, whatever stands in strings", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6, stringUnit: "binary" }), fc.integer({ min: 0, max: 8 }), (json, maxDepth) => {
      assert.equal(isNestedDeeperThan(Buffer.from(json), maxDepth), depthOf(JSON.parse(json)) > maxDepth);
    }),
  );
  assert.equal(isNestedDeeperThan(Buffer.from(JSON.stringify({ text: '[[[[\\"[[' })), 1), false);
  assert.equal(isNestedDeeperThan(Buffer.from("[".repeat(1_000_000)), 64), true);
});

test("a body that is too large is refused by its head, and without one as soon as it is", async () => {
  const source = () => Readable.from([Buffer.alloc(60), Buffer.alloc(60), Buffer.alloc(60)]);
  assert.equal(await readBody(Object.assign(source(), { headers: { "content-length": "180" } }), 100), "too large");
  assert.equal(await readBody(source(), 100), "too large");
  assert.equal((await readBody(source(), 180)).length, 180);
});

test("a body that does not come is not waited for", async () => {
  assert.equal(await readBody(new PassThrough(), 100, 20), "too slow");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMask, maskValue } from "./mask.ts";

const VALUE = "s3cr3t/value+of=mine";
const mask = createMask([
  { name: "TOKEN", value: VALUE },
  { name: "SHORT", value: "abc" },
  { name: "PART", value: "s3cr3t" },
]);

test("a value is masked wherever it is, in the forms that it is sent in", () => {
  assert.equal(mask(`Bearer ${VALUE}!`), "Bearer [secret TOKEN]!");
  assert.equal(mask(`?t=${encodeURIComponent(VALUE)}&x`), "?t=[secret TOKEN]&x");
  assert.equal(mask("only s3cr3t"), "only [secret PART]");
  for (const text of ["abc", "nothing", "", "$& $1"]) assert.equal(mask(text), text);
});

test("in base64 at least all but its ends is masked, whatever is around it", () => {
  // What is around it is none of it.
  const around = fc.string({ maxLength: 9 }).filter((text) => !text.includes("v"));
  fc.assert(
    fc.property(around, around, fc.boolean(), (before, after, isUrl) => {
      const text = Buffer.from(`${before}${VALUE}${after}`).toString(isUrl ? "base64url" : "base64");
      const masked = mask(text);
      assert.match(masked, /\[secret TOKEN\]/);
      const left = masked.split("[secret TOKEN]").map((part) => Buffer.from(part, "base64").toString("latin1"));
      for (const part of left) assert.doesNotMatch(part, /value/);
    }),
  );
});

test("it is masked in names and values at any depth; what is deeper is left out", () => {
  const value = { [VALUE]: [{ a: `x ${VALUE}` }, 7, null, true] };
  assert.deepEqual(maskValue(value, mask), { "[secret TOKEN]": [{ a: "x [secret TOKEN]" }, 7, null, true] });
  let deep: unknown = VALUE;
  for (let level = 0; level < 50_000; level++) deep = [deep];
  const masked = JSON.stringify(maskValue(deep, mask));
  assert.ok(!masked.includes(VALUE) && masked.length < 100, masked.slice(0, 200));
  assert.equal(
    (
      maskValue(
        Array.from({ length: 5_000 }, () => 1),
        mask,
      ) as unknown[]
    ).length,
    1_000,
  );
});

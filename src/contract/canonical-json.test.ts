import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, digestOf } from "./canonical-json.ts";

test("the order of keys makes no difference, anything else does", () => {
  assert.equal(canonicalJson({ b: [1, { d: null, c: "x" }], a: undefined }), '{"b":[1,{"c":"x","d":null}]}');
  assert.equal(digestOf({ a: 1, b: 2 }), digestOf({ b: 2, a: 1 }));
  const different = [{ a: 1 }, { a: "1" }, { a: [1] }, { a: { 0: 1 } }, [{ a: 1 }], { "a:1": 1 }, {}, null];
  assert.equal(new Set(different.map(digestOf)).size, different.length);
});

test("what it yields is JSON of the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(JSON.parse(text)), text);
    }),
  );
});

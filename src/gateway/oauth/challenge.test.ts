import assert from "node:assert/strict";
import { test } from "node:test";
import { readChallenge } from "./challenge.ts";

const read = (header?: string) =>
  readChallenge({ headers: header === undefined ? {} : { "www-authenticate": header } });

test("what a server wants is read where it wants a bearer token, and nowhere else", () => {
  assert.deepEqual(
    read('Bearer error="insufficient_scope", scope="a b:c", resource_metadata="https://far.example/m"'),
    { isBearer: true, error: "insufficient_scope", scope: "a b:c", resourceMetadata: "https://far.example/m" },
  );
  assert.equal(read("bearer").isBearer, true);
  assert.equal(read("Bearer scope=one").scope, "one");
  for (const header of [undefined, "", 'Basic realm="x", scope="a"', "Bearerish scope=a"])
    assert.deepEqual(read(header), {
      isBearer: false,
      error: undefined,
      scope: undefined,
      resourceMetadata: undefined,
    });
});

test("scopes that are none, or without end, are not asked for", () => {
  for (const scope of ["", " a", "a  b", "\u001b[2J", "ä", "a".repeat(257), Array(65).fill("a").join(" ")])
    assert.equal(read(`Bearer scope="${scope}"`).scope, undefined, scope);
});

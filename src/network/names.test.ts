import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseName } from "./names.ts";

test("a name has one form: lower case, punycode, no trailing dot", () => {
  for (const [given, name] of [
    ["api.github.com", "api.github.com"],
    ["API.GitHub.COM.", "api.github.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["_dmarc.example", "_dmarc.example"],
    ["db", "db"],
    ["1.example", "1.example"],
    ["0x1.example.com", "0x1.example.com"],
  ] as const)
    assert.deepEqual(parseName(given), { name }, given);
});

test("of a URL is said which part is the name", () => {
  for (const given of ["https://x.test", "http://user:pw@x.test/path", "//x.test?q"]) {
    const parsed = parseName(given);
    assert.match("why" in parsed ? parsed.why : "", /is a URL, and a name is only "x\.test"$/, given);
  }
});

test("an address in any notation is no name", () => {
  for (const given of [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
    "127.0.0.1.",
    "[::1]",
    "::1",
    "::ffff:127.0.0.1",
    "１２７.0.0.1",
    "foo.127",
    "foo.0x7f",
  ]) {
    const parsed = parseName(given);
    assert.ok("why" in parsed, given);
    assert.match(parsed.why, /address|not a name/, given);
  }
});

test("what is too long, empty or of other characters is no name", () => {
  for (const given of [
    "",
    ".",
    "a..b",
    "-a.example",
    `${"a".repeat(64)}.example`,
    `${"a.".repeat(150)}example`,
    "a b",
    "a/b",
    "a\0b",
    "*.x",
  ])
    assert.ok("why" in parseName(given), given);
});

test("whatever is given, a name that comes of it is taken again as it is", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.domain()), (given) => {
      const parsed = parseName(given);
      if ("name" in parsed) assert.deepEqual(parseName(parsed.name), parsed);
    }),
  );
});

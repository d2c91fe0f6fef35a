import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../test/support/has-code.ts";
import { appendJson, readJson, removeElements, removeJson, setJson } from "./json-document.ts";

test("a new property looks like its neighbours", () => {
  const cases = [
    // In the indentation that there is.
    ['{\n\t"s": {\n\t\t"a": 1\n\t}\n}\n', '{\n\t"s": {\n\t\t"a": 1,\n\t\t"n": {\n\t\t\t"x": 2\n\t\t}\n\t}\n}\n'],
    // With a comma where the last one has it.
    ['{\n  "s": {\n    "a": 1,\n  },\n}\n', '{\n  "s": {\n    "a": 1,\n    "n": {\n      "x": 2\n    },\n  },\n}\n'],
    // In one line where all is.
    ['{"s":{"a":1}}', '{"s":{"a":1, "n": {"x":2}}}'],
    ['{ "s": { "a": 1, }, }', '{ "s": { "a": 1, "n": {"x":2}, }, }'],
    ['{"s":{}}', '{"s":{"n": {"x":2}}}'],
    // Not behind a comment that goes to the end of the line.
    ['{ "s": { "a": 1 // one\n} }', '{ "s": { "a": 1, // one\n"n": {"x":2}\n} }'],
    // Below the comments of an object without members.
    ['{\n  "s": {\n    // none yet\n  }\n}', '{\n  "s": {\n    // none yet\n    "n": {\n      "x": 2\n    }\n  }\n}'],
  ] as const;
  for (const [text, changed] of cases) {
    assert.equal(setJson(text, ["s", "n"], { x: 2 }), changed);
    assert.deepEqual(readJson(changed, ["s", "n"]), { x: 2 });
  }
});

test("what is on the way to it is made, also in a file of comments alone", () => {
  assert.equal(setJson("// mine\n", ["s", "n"], 1), '// mine\n{\n  "s": {\n    "n": 1\n  }\n}\n');
  assert.equal(setJson("{}", ["s", "n"], 1), '{\n  "s": {\n    "n": 1\n  }\n}');
  assert.throws(() => setJson('{"s":[]}', ["s", "n"], 1), hasCode("CLIENT_CONFIG_INVALID"));
  assert.throws(() => setJson("[]", ["s", "n"], 1), hasCode("CLIENT_CONFIG_INVALID"));
});

test("a value gives way to another, and stays as it is written where it is the same", () => {
  assert.equal(setJson('{\n  "a": [1,  2] // two\n}', ["a"], [1, 2]), '{\n  "a": [1,  2] // two\n}');
  assert.equal(setJson('{\n  "a": [1] // one\n}', ["a"], "x"), '{\n  "a": "x" // one\n}');
});

test("of equal keys the last counts, and all are taken out", () => {
  const text = '{"s":{"a":0},"s":{"a":1,"a":2}}';
  assert.equal(readJson(text, ["s", "a"]), 2);
  assert.equal(setJson(text, ["s", "a"], 3), '{"s":{"a":0},"s":{"a":1,"a":3}}');
  assert.equal(removeJson(text, ["s", "a"]), '{"s":{"a":0},"s":{}}');
});

test("a property is taken out with its line and the comment behind it, and no other's", () => {
  const cases = [
    ['{\n  // above\n  "n": 1, // mine\n  "a": 2 // theirs\n}', '{\n  // above\n  "a": 2 // theirs\n}'],
    ['{\n  "a": 2, // theirs\n  "n": 1 // mine\n}', '{\n  "a": 2 // theirs\n}'],
    ['{ "n": 1, "a": 2 }', '{ "a": 2 }'],
    ['{ "a": 2, "n": 1 }', '{ "a": 2 }'],
    ['{"a": 2\n, "n": 1}', '{"a": 2\n}'],
    ['{ /* why */ "n": 1 }', "{ /* why */ }"],
    ['{\n  "n": 1\n}', "{}"],
  ] as const;
  for (const [text, removed] of cases) {
    assert.equal(removeJson(text, ["n"]), removed);
    assert.deepEqual(readJson(removed, ["n"]), undefined);
  }
});

test("elements come and go at the end of a list", () => {
  const text = '{\n  "l": [\n    1, // one\n    2 // two\n  ]\n}';
  const longer = appendJson(text, ["l"], 3);
  assert.equal(longer, '{\n  "l": [\n    1, // one\n    2, // two\n    3\n  ]\n}');
  assert.equal(
    removeElements(longer, ["l"], (value) => value === 3),
    text,
  );
  assert.deepEqual(readJson(appendJson("{}", ["l"], 1), ["l"]), [1]);
  assert.throws(() => appendJson('{"l":{}}', ["l"], 1), hasCode("CLIENT_CONFIG_INVALID"));
});

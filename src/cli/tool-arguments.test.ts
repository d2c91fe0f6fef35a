import assert from "node:assert/strict";
import { test } from "node:test";
import { describeCall, readToolArguments } from "./tool-arguments.ts";

const SCHEMA = {
  properties: { path: { type: "string" }, head: { type: "number" }, tags: { type: ["array", "null"] }, any: {} },
  required: ["path"],
};
const read = (...words: string[]) => readToolArguments(words, SCHEMA);

test("arguments are text where a tool takes text, and JSON elsewhere", () => {
  assert.deepEqual(read("path=7", "head=7", 'tags=["a=b"]', "any=word"), {
    path: "7",
    head: 7,
    tags: ["a=b"],
    any: "word",
  });
  assert.deepEqual(read("path=a=b", "any=[1]"), { path: "a=b", any: [1] });
  assert.deepEqual(read('{"path": "a", "other": 1}'), { path: "a", other: 1 });
});

test("what is missing, misspelt or of another kind is told of by name", () => {
  assert.throws(() => read(), /wants 'path'/);
  assert.throws(() => read("pth=a"), { message: /no argument 'pth'/, hint: /'path'/ });
  assert.throws(() => read("path=a", "head=many"), /'head' is number/);
  assert.throws(() => read("a"), /neither NAME=VALUE/);
  assert.throws(() => read("{a"), /no JSON object/);
});

test("how a tool is called is one line", () => {
  assert.equal(describeCall("read", SCHEMA), "read path=STRING [head=NUMBER] [tags=VALUE] [any=VALUE]");
});

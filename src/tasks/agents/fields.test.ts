import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_COST_USD } from "../../contract/task-event.ts";
import { bounded, count, cut, dollars, MAX_TEXT, Memory, member, name, readFields, said } from "./fields.ts";

test("a copy is neither deep nor large, and holds no prototype", () => {
  const deep: unknown = JSON.parse(`${"[".repeat(500)}${"]".repeat(500)}`);
  assert.ok(JSON.stringify(bounded(deep)).length < 60);
  const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, index]));
  assert.ok(Object.keys(bounded(wide) as object).length <= 10_000);
  const long = bounded({ a: "x".repeat(MAX_TEXT), b: "y" }) as { a: string };
  assert.ok(JSON.stringify(long).length <= MAX_TEXT + 20 && long.a.length > MAX_TEXT - 20);
  assert.deepEqual(bounded(JSON.parse('{"__proto__":{"x":1},"a":[1,"b",null,true]}')), { a: [1, "b", null, true] });
  assert.equal(bounded(undefined), null);
});

test("members are own ones, whatever they are called", () => {
  assert.equal(member({}, "constructor", "name"), undefined);
  assert.equal(member(JSON.parse('{"a":{"b":1}}'), "a", "b"), 1);
  assert.equal(member([1], "0"), undefined);
});

test("a number that is a text, broken or below 0 is none", () => {
  for (const value of ["12", -1, Number.NaN, Number.POSITIVE_INFINITY, null, {}]) assert.equal(count(value), undefined);
  assert.deepEqual([count(1.9), count(1e300)], [1, Number.MAX_SAFE_INTEGER]);
  assert.deepEqual([dollars(0.5), dollars(1e308), dollars(-1)], [0.5, MAX_COST_USD, undefined]);
});

test("texts are cut where they say so, and no half of a pair is left", () => {
  assert.match(cut("x".repeat(MAX_TEXT + 5)), /\n… 5 more characters are in the raw line$/);
  assert.ok(cut(`${"x".repeat(MAX_TEXT - 1)}😀`).isWellFormed());
  assert.equal(name("n".repeat(500))?.length, 200);
  assert.equal(name(""), undefined);
});

test("what a tool has said is its words, in whichever form", () => {
  assert.equal(said("a"), "a");
  assert.equal(said([{ type: "text", text: "a" }, { type: "image" }, "b"]), "a\nb");
  assert.equal(said({ ok: 1 }), '{"ok":1}');
  assert.equal(said(undefined), "");
});

test("a line is an object or nothing", () => {
  for (const line of ["", "[]", "1", "{", '"{}"']) assert.equal(readFields(line), undefined);
  assert.deepEqual(readFields(' {"a":1}'), { a: 1 });
});

test("a memory forgets its oldest", () => {
  const memory = new Memory<number>(2);
  for (const [key, value] of [
    ["a", 1],
    ["b", 2],
    ["a", 3],
    ["c", 4],
  ] as const)
    memory.set(key, value);
  assert.deepEqual([memory.get("a"), memory.get("b"), memory.get("c")], [undefined, 2, 4]);
});

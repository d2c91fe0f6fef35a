import assert from "node:assert/strict";
import { test } from "node:test";
import { argumentsOf, fieldsOf } from "./schema-form.ts";

const SCHEMA = {
  type: "object",
  properties: {
    text: { type: "string", description: "some text", default: "begin" },
    count: { type: "integer" },
    share: { type: "number", default: 0.5 },
    isOn: { type: "boolean" },
    one: { enum: ["a", 1, null] },
    list: { type: "array" },
    odd: true,
  },
  required: ["text", "count"],
};

test("a schema becomes fields, and what no field can say becomes JSON", () => {
  const fields = fieldsOf(SCHEMA) ?? [];
  assert.deepEqual(
    fields.map(({ name, kind, isRequired, initial }) => [name, kind, isRequired, initial]),
    [
      ["text", "string", true, "begin"],
      ["count", "integer", true, ""],
      ["share", "number", false, "0.5"],
      ["isOn", "boolean", false, ""],
      ["one", "choice", false, ""],
      ["list", "json", false, ""],
      ["odd", "json", false, ""],
    ],
  );
  assert.deepEqual(fields[4]?.choices, ['"a"', "1", "null"]);
  assert.deepEqual(fieldsOf({ type: "object" }), []);
  for (const schema of [undefined, null, true, [], "text"]) assert.equal(fieldsOf(schema), undefined);
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`p${index}`, {}]));
  assert.equal(fieldsOf({ properties: many }), undefined);
});

test("arguments are what has been filled in, as what they are", () => {
  const fields = fieldsOf(SCHEMA) ?? [];
  const texts = { text: "1", count: "7", share: "", isOn: "false", one: "null", list: '[{"a": 1}]', odd: "" };
  assert.deepEqual(argumentsOf(fields, texts), { text: "1", count: 7, isOn: false, one: null, list: [{ a: 1 }] });
  assert.deepEqual(argumentsOf(fields, {}), { text: "" }, "an empty text is one, where there has to be one");
  assert.throws(() => argumentsOf(fields, { count: "1.5" }), /count: it is a whole number/);
  assert.throws(() => argumentsOf(fields, { list: "[1," }), /^SyntaxError: list: /);
});

test("names of a hostile schema are names", () => {
  const schema = JSON.parse('{"properties": {"__proto__": {"type": "string"}, "constructor": {"type": "number"}}}');
  const fields = fieldsOf(schema) ?? [];
  const texts = Object.fromEntries([
    ["__proto__", "own"],
    ["constructor", "1"],
  ]);
  assert.equal(JSON.stringify(argumentsOf(fields, texts)), '{"__proto__":"own","constructor":1}');
  assert.equal(({} as { own?: unknown }).own, undefined);
});

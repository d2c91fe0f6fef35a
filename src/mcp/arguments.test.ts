import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { parseArguments, toJsonSchema } from "./arguments.ts";

const schema = z.strictObject({
  vm: z.string(),
  count: z.int().min(1).default(3),
  env: z.record(z.string(), z.string()).optional(),
});
const parse = (args: unknown) => parseArguments("some_tool", schema, args);

function faultOf(args: unknown): FirebreakError {
  try {
    parse(args);
  } catch (error) {
    assert.ok(error instanceof FirebreakError);
    return error;
  }
  assert.fail("the arguments were taken");
}

test("defaults are filled in", () => {
  assert.deepEqual(parse({ vm: "web" }), { vm: "web", count: 3 });
});

test("an unknown argument is refused by name, and what there is is told", () => {
  const error = faultOf({ vm: "web", vn: 1, z: 2 });
  assert.equal(error.code, "INVALID_ARGUMENT");
  assert.equal(error.message, "some_tool: unknown arguments 'vn', 'z'");
  assert.equal(error.hint, "some_tool takes vm, count?, env?.");
});

test("a missing argument is called missing, a wrong one by its fault", () => {
  assert.equal(faultOf({}).message, "some_tool: 'vm' is missing");
  assert.equal(faultOf(undefined).message, "some_tool: 'vm' is missing");
  assert.match(faultOf({ vm: 3 }).message, /^some_tool: 'vm': .*expected string/);
  assert.match(faultOf({ vm: "web", count: 0 }).message, /'count': .*>=1/);
  assert.match(faultOf({ vm: "web", env: { A: 1 } }).message, /'env\.A': /);
  assert.match(faultOf("text").message, /expected object/);
});

test("a bad new name has the code of its own", () => {
  const named = z.strictObject({ name: z.string().regex(/^a/) });
  assert.throws(() => parseArguments("some_tool", named, { name: "b" }), { code: "INVALID_NAME" });
});

test("schemas are plain: optional by absence, strict, with no keyword that says nothing", () => {
  const json = toJsonSchema(schema, "input");
  assert.deepEqual(json.required, ["vm"]);
  assert.equal(json.additionalProperties, false);
  assert.deepEqual(json.properties?.count, { type: "integer", minimum: 1, default: 3 });
  assert.deepEqual(json.properties?.env, { type: "object", additionalProperties: { type: "string" } });
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../../test/support/has-code.ts";
import { hashDefinition, textOfDefinition } from "./definition-hash.ts";

const TOOL = {
  name: "add",
  title: "Add",
  description: "Adds two numbers.",
  annotations: { readOnlyHint: true },
  inputSchema: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } },
  outputSchema: { type: "object" },
};

test("the hash is that of canonical JSON, which anybody can compute", () => {
  const text = '{"description":"Adds.","inputSchema":{"type":"object"},"name":"add"}';
  assert.equal(textOfDefinition("tool", { inputSchema: { type: "object" }, name: "add", description: "Adds." }), text);
  const digest = createHash("sha256").update(text).digest("hex");
  assert.equal(
    hashDefinition("tool", { name: "add", description: "Adds.", inputSchema: { type: "object" } }),
    `sha256:${digest}`,
  );
});

test("each member that a model or client goes by makes a difference, and no other does", () => {
  const before = hashDefinition("tool", TOOL);
  for (const member of Object.keys(TOOL)) {
    assert.notEqual(hashDefinition("tool", { ...TOOL, [member]: member === "name" ? "x" : undefined }), before, member);
  }
  assert.notEqual(hashDefinition("tool", { ...TOOL, description: "Adds two numbers.\u200b" }), before);
  const other = { _meta: { a: 1 }, icons: [], execution: {}, ...TOOL };
  assert.equal(hashDefinition("tool", Object.fromEntries(Object.entries(other).reverse())), before);
  const prompt = { name: "p", arguments: [{ name: "a" }, { name: "b" }] };
  assert.notEqual(
    hashDefinition("prompt", prompt),
    hashDefinition("prompt", { ...prompt, arguments: [...prompt.arguments].reverse() }),
  );
  const resource = { uri: "a://b", name: "x", mimeType: "text/plain" };
  assert.notEqual(
    hashDefinition("resource", resource),
    hashDefinition("resource", { ...resource, mimeType: "text/html" }),
  );
});

test("what has no name, or no bottom, is refused", () => {
  let deep: unknown = {};
  for (let level = 0; level < 200_000; level++) deep = [deep];
  for (const definition of [null, "x", [], {}, { name: "" }, { name: "a\ud800" }, { name: "a", inputSchema: deep }])
    assert.throws(() => hashDefinition("tool", definition), hasCode("SERVER_DEFINITION_INVALID"));
  assert.throws(() => hashDefinition("resource", { name: "x" }), hasCode("SERVER_DEFINITION_INVALID"));
});

test("two definitions have one hash only if what is pinned is the same", () => {
  const schema = fc.jsonValue();
  fc.assert(
    fc.property(fc.string(), schema, fc.string(), schema, (d1, s1, d2, s2) => {
      const [a, b] = [
        { name: "n", description: d1, inputSchema: s1 },
        { name: "n", description: d2, inputSchema: s2 },
      ];
      assert.equal(
        hashDefinition("tool", a) === hashDefinition("tool", b),
        textOfDefinition("tool", a) === textOfDefinition("tool", b),
      );
    }),
  );
});

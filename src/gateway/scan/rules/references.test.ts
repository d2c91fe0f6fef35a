import assert from "node:assert/strict";
import { test } from "node:test";
import { scanTool } from "../../../../test/support/scan-tool.ts";

const scanSchema = (inputSchema: object) => scanTool({ inputSchema });

test("references to addresses are dangerous, those to nothing a warning", () => {
  for (const $ref of [
    "https://evil.example/s.json",
    "http://x/#/a",
    "//evil.example/x",
    "file:///etc/passwd",
    "../../x",
    "ftp://x",
  ])
    assert.ok(
      scanSchema({ properties: { a: { $ref } } }).includes("danger schema_reference inputSchema.properties.a"),
      $ref,
    );
  for (const $ref of ["#/$defs/none", "#nowhere", "other.json", "#/__proto__", "#/%"])
    assert.deepEqual(
      scanSchema({ properties: { a: { $ref } } }),
      ["warning schema_reference inputSchema.properties.a"],
      $ref,
    );
});

test("references that lead to each other alone are dangerous, and are no endless loop", () => {
  const $defs = { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a", description: "x" } };
  const found = scanSchema({ $ref: "#/$defs/a", $defs });
  assert.equal(found.length, 3);
  for (const each of found) assert.match(each, /^danger schema_reference/);
  assert.deepEqual(scanSchema({ $ref: "#" }), ["danger schema_reference inputSchema"]);
});

test("a tree that is defined by itself is told of", () => {
  const tree = { type: "object", properties: { children: { type: "array", items: { $ref: "#/$defs/tree" } } } };
  assert.deepEqual(scanSchema({ $ref: "#/$defs/tree", $defs: { tree } }), [
    "info schema_reference inputSchema.$defs.tree.properties.children.items",
  ]);
});

test("references within the schema are no finding, nor are dialects and plain words", () => {
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: "https://example.org/x",
    properties: {
      a: { $ref: "#/$defs/a~1b" },
      b: { $ref: "#named" },
      c: { const: "$ref" },
      d: { $ref: "#/$defs/yes" },
    },
    $defs: { "a/b": { type: "string" }, n: { $anchor: "named", type: "number" }, yes: true },
  };
  assert.deepEqual(scanSchema(schema), []);
});

test("of references beyond a number only that is told", () => {
  const names = Array.from({ length: 3_000 }, (_, index) => `p${index}`);
  const properties = Object.fromEntries(names.map((name) => [name, { $ref: "#/$defs/a" }]));
  const found = scanSchema({ properties, $defs: { a: { type: "string" } } });
  assert.ok(found.includes("danger schema_reference inputSchema"), found.slice(0, 3).join());
});

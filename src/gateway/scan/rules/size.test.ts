import assert from "node:assert/strict";
import { test } from "node:test";
import { scanTool } from "../../../../test/support/scan-tool.ts";

function nested(levels: number): unknown {
  let schema: unknown = { type: "string" };
  for (let level = 0; level < levels; level++) schema = { items: schema };
  return schema;
}

test("texts and schemas beyond all use are told of, those beyond the bounds as dangerous", () => {
  assert.deepEqual(scanTool({ description: "word ".repeat(3_000) }), ["warning size description"]);
  assert.deepEqual(scanTool({ description: "word ".repeat(20_000) }), ["danger size"]);
  assert.deepEqual(scanTool({ inputSchema: nested(30) }), ["warning size"]);
  assert.deepEqual(scanTool({ inputSchema: nested(100_000) }), ["danger size"]);
  assert.deepEqual(scanTool({ inputSchema: { enum: Array.from({ length: 100_000 }, () => 1) } }), ["danger size"]);
  const names = Array.from({ length: 2_000 }, (_, index) => `a_rather_long_name_${index}`);
  const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  assert.deepEqual(scanTool({ inputSchema: { type: "object", properties } }), ["warning size"]);
});

test("what is only large is no finding", () => {
  assert.deepEqual(scanTool({ description: "word ".repeat(1_000), inputSchema: nested(15) }), []);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { modernHeaders } from "./headers.ts";

const SCHEMA = {
  type: "object",
  properties: {
    region: { type: "string", "x-mcp-header": "Region" },
    count: { type: "integer", "x-mcp-header": "Count" },
    ratio: { type: "number", "x-mcp-header": "Ratio" },
    broken: { type: "string", "x-mcp-header": "a b\r\nx: y" },
    deep: { type: "object", properties: { on: { type: "boolean", "x-mcp-header": "On" } } },
    list: { type: "array", items: { type: "string", "x-mcp-header": "Item" } },
  },
};

const headersOf = (args: unknown) =>
  modernHeaders("tools/call", { name: "find", arguments: args }, "2026-07-28", SCHEMA);

test("a message says in its headers what it is, and what its tool's schema wants there", () => {
  assert.deepEqual(headersOf({ region: "eu", count: 3, ratio: 0.5, broken: "x", deep: { on: true }, list: ["a"] }), {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "find",
    "mcp-param-region": "eu",
    "mcp-param-count": "3",
    "mcp-param-on": "true",
  });
});

test("what a header cannot hold unmistaken is in base64, and no value becomes a header of its own", () => {
  assert.equal(headersOf({ region: "Zürich" })["mcp-param-region"], "=?base64?WsO8cmljaA==?=");
  assert.equal(headersOf({ region: "" })["mcp-param-region"], "=?base64??=");
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), (region) => {
      const value = headersOf({ region })["mcp-param-region"] as string;
      assert.match(value, /^[\t\x20-\x7e]+$/);
      const [, encoded] = /^=\?base64\?(.*)\?=$/.exec(value) ?? [];
      const decoded = encoded === undefined ? value : Buffer.from(encoded, "base64").toString("utf8");
      assert.equal(decoded, Buffer.from(region).toString("utf8"));
    }),
  );
});

test("whatever a server's schema is, there are headers", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (schema, args) => {
      modernHeaders("tools/call", { name: "x", arguments: args }, "2026-07-28", schema);
    }),
  );
});

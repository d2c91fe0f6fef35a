import assert from "node:assert/strict";
import { test } from "node:test";
import { describeRequest, outcomeOfError, outcomeOfResult } from "./mcp-spans.ts";

const REVISION = { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } };

test("spans are named after methods, with the tool or the prompt that they are for", () => {
  for (const [method, params, name] of [
    ["tools/call", { name: "echo", arguments: { name: "x" } }, "tools/call echo"],
    ["prompts/get", { name: "greet" }, "prompts/get greet"],
    ["resources/read", { uri: "file:///secret", name: "x" }, "resources/read"],
    ["tools/list", {}, "tools/list"],
    ["tools/call", { name: "two words" }, "tools/call"],
    ["tools/call", { name: "x".repeat(129) }, "tools/call"],
    ["tools/call", { name: {} }, "tools/call"],
    ["tools/call", undefined, "tools/call"],
    ["something/else", { name: "x" }, "_OTHER"],
  ] as const)
    assert.equal(describeRequest({ id: 1, method, params }).name, name);
});

test("attributes are those of the conventions, and nothing of arguments", () => {
  const params = { name: "echo", arguments: { a: "b" }, ...REVISION };
  assert.deepEqual(describeRequest({ id: 7, method: "tools/call", params }).attributes, {
    "mcp.method.name": "tools/call",
    "jsonrpc.request.id": "7",
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "echo",
    "mcp.protocol.version": "2026-07-28",
  });
  assert.deepEqual(describeRequest({ id: "r-1", method: "prompts/get", params: { name: "greet" } }).attributes, {
    "mcp.method.name": "prompts/get",
    "jsonrpc.request.id": "r-1",
    "gen_ai.prompt.name": "greet",
  });
  const odd = { _meta: { "io.modelcontextprotocol/protocolVersion": "my own words" } };
  for (const id of [null, {}, "two words", "x".repeat(65), undefined])
    assert.deepEqual(describeRequest({ id, method: "my/method", params: odd }).attributes, {
      "mcp.method.name": "_OTHER",
    });
});

test("how a request ended is told by codes alone", () => {
  assert.deepEqual(outcomeOfResult({ content: [] }), {});
  assert.deepEqual(outcomeOfResult(undefined), {});
  assert.deepEqual(outcomeOfResult({ isError: true, content: [{ text: "words" }] }), { "error.type": "tool_error" });
  const failed = (code: unknown) => outcomeOfResult({ isError: true, _meta: { "firebreak/error": { code } } });
  assert.equal(failed("SERVER_FAILED")["firebreak.error.code"], "SERVER_FAILED");
  assert.equal(failed("words of a server's own")["firebreak.error.code"], undefined);
  assert.deepEqual(outcomeOfError({ code: -32602, message: "words" }), {
    "error.type": "-32602",
    "rpc.response.status_code": "-32602",
  });
  assert.equal(outcomeOfError({ code: "words" })["error.type"], "_OTHER");
});

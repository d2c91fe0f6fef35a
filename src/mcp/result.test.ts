import assert from "node:assert/strict";
import { test } from "node:test";
import { ERROR_CODES, type ErrorCode } from "../errors/catalogue.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { FAILURE_KEY, toFailure, toResult } from "./result.ts";

test("a result's first line names the VM and how it went", () => {
  const result = toResult({ structured: { a: 1 }, vm: "web", facts: ["exit 0", "12 ms"], text: "hello\n" });
  assert.deepEqual(result, {
    content: [{ type: "text", text: "[vm web · exit 0 · 12 ms]\nhello\n" }],
    structuredContent: { a: 1 },
  });
});

test("an image is content of its own", () => {
  const result = toResult({ structured: {}, facts: [], image: { mimeType: "image/png", base64: "AA==" } });
  assert.deepEqual(result.content[1], { type: "image", mimeType: "image/png", data: "AA==" });
  // Some clients show their model nothing else where there is any.
  assert.equal(result.structuredContent, undefined);
});

test("a failure is a result with code, class, message, hint and whether to try again", () => {
  const result = toFailure(
    new FirebreakError("VM_STATE_CONFLICT", "it is stopped", { hint: "firebreak vm start web" }),
    "web",
  );
  assert.equal(result.isError, true);
  assert.deepEqual(result.content, [
    {
      type: "text",
      text: "[vm web · error VM_STATE_CONFLICT]\nit is stopped\nvm_get tells its state and why; vm_start starts a stopped VM, vm_resume lets a paused one go on.",
    },
  ]);
  // Clients may hold structured content against the tool's output schema, and lose the error by it.
  assert.equal(result.structuredContent, undefined);
  assert.deepEqual(result._meta?.[FAILURE_KEY], {
    code: "VM_STATE_CONFLICT",
    class: "failed_precondition",
    message: "it is stopped",
    hint: "vm_get tells its state and why; vm_start starts a stopped VM, vm_resume lets a paused one go on.",
    retryable: false,
    vm: "web",
  });
});

test("every code has its class, and only passing conditions are worth another try", () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const { content, _meta } = toFailure(new FirebreakError(code, "x"), undefined);
    const failure = _meta?.[FAILURE_KEY] as { class: string; retryable: boolean; retry_after_ms?: number };
    assert.equal(failure.class, ERROR_CODES[code].class);
    const passes = ["unavailable", "aborted", "deadline_exceeded"].includes(failure.class);
    const passesToo = code === "EXEC_LIMIT" || code === "VM_MEMORY_EXHAUSTED";
    assert.equal(failure.retryable, passes || passesToo, code);
    assert.equal(typeof failure.retry_after_ms, failure.retryable ? "number" : "undefined", code);
    // Most clients give their model the text and nothing else.
    assert.equal(/ try again in \d+ ms/.test(JSON.stringify(content)), failure.retryable, code);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { OUTPUT_TAIL_LENGTH } from "../contract/task.ts";
import { OutputTail } from "./tail.ts";

test("the end of what was said and printed is kept, 4,000 characters of it, and the last answer", () => {
  assert.equal(OUTPUT_TAIL_LENGTH, 4_000);
  const tail = new OutputTail();
  tail.add({ type: "output", stream: "stdout", text: `${"x".repeat(10_000)}\n` });
  tail.add({ type: "output", stream: "stderr", base64: Buffer.from("bytes\n").toString("base64") });
  tail.add({ type: "thinking", text: "not told" });
  tail.add({ type: "text", text: "half ", messageId: "m", isDelta: true });
  tail.add({ type: "text", text: "whole" });
  tail.add({ type: "answer", text: "first" });
  tail.add({ type: "answer", text: "last" });
  assert.equal(tail.text.length, OUTPUT_TAIL_LENGTH);
  assert.ok(tail.text.endsWith("xx\nbytes\nhalf whole\n"), tail.text.slice(-40));
  assert.equal(tail.answer, "last");
});

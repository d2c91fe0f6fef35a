import assert from "node:assert/strict";
import { test } from "node:test";
import type { TaskEvent, TaskEventBody } from "../../../../../src/contract/task-event.ts";
import { type Block, BlockBuilder, formatInput, textOf } from "./blocks.ts";

/** The blocks of some events, without what all have. */
function blocksOf(...bodies: TaskEventBody[]): Block[] {
  const builder = new BlockBuilder();
  for (const [index, body] of bodies.entries())
    builder.push({ ...body, seq: index + 1, at: "2026-01-31T12:00:00Z" } as TaskEvent);
  return builder.blocks;
}

test("pieces of one message become one block, those of others and other kinds their own", () => {
  const piece = (type: "text" | "thinking", text: string, messageId: string) => ({
    type,
    text,
    messageId,
    isDelta: true,
  });
  const blocks = blocksOf(
    piece("text", "He", "m1"),
    piece("thinking", "Hm", "m1"),
    piece("text", "llo", "m1"),
    piece("text", "Other", "m2"),
    piece("thinking", "m", "m1"),
    { type: "text", text: "Whole", messageId: "m1" },
  );
  assert.deepEqual(
    blocks.map((block) => [block.kind, textOf(block), block.seq, block.version]),
    [
      ["text", "Hello", 1, 1],
      ["thinking", "Hmm", 2, 1],
      ["text", "Other", 4, 0],
      ["text", "Whole", 6, 0],
    ],
  );
});

test("a piece makes another object of its block, so that it is drawn again, and of no other", () => {
  const builder = new BlockBuilder();
  const push = (seq: number, text: string) =>
    builder.push({ seq, at: "", type: "text", text, messageId: "m", isDelta: true });
  push(1, "a");
  builder.push({ seq: 2, at: "", type: "error", message: "e", fatal: false });
  const before = [...builder.blocks];
  push(3, "b");
  assert.notEqual(builder.blocks[0], before[0]);
  assert.equal(builder.blocks[1], before[1]);
});

test("a result has the name of its call, and sums of tokens are no blocks", () => {
  const blocks = blocksOf(
    { type: "tool_call", id: "t1", name: "Bash", input: { command: "id" } },
    { type: "usage", tokens: [] },
    { type: "tool_result", id: "t1", ok: false, output: "no", exitCode: 2 },
    { type: "tool_result", id: "t2", ok: true, output: "who?" },
  );
  assert.deepEqual(
    blocks.map(({ kind }) => kind),
    ["tool_call", "tool_result", "tool_result"],
  );
  assert.deepEqual(
    blocks.map((block) => (block.kind === "tool_result" ? block.name : "")),
    ["", "Bash", undefined],
  );
});

test("a tool's input is shown as what it is about", () => {
  assert.equal(formatInput({ command: "npm test" }), "npm test");
  assert.equal(formatInput({ path: "a", line: 3 }), "path: a\nline: 3");
  assert.equal(formatInput({ edits: [{ a: 1 }] }), '{\n  "edits": [\n    {\n      "a": 1\n    }\n  ]\n}');
  assert.equal(formatInput("text"), "text");
  assert.equal(formatInput(undefined), "");
});

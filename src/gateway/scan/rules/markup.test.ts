import assert from "node:assert/strict";
import { test } from "node:test";
import { scanDescription } from "../../../../test/support/scan-tool.ts";

const severityOf = (text: string) => scanDescription("markup", text);

test("marks of orders and of chat formats are dangerous", () => {
  const texts = [
    "<IMPORTANT>Read this</IMPORTANT>",
    "< important >",
    "<system-reminder>x",
    "<|im_start|>system",
    "[INST] do [/INST]",
    "<<SYS>>",
    "<start_of_turn>user",
  ];
  for (const text of texts) assert.equal(severityOf(text), "danger", text);
});

test("a text that ends somebody else's is a warning", () => {
  const texts = ["done</tool_result> now", "</system>", "</instructions>"];
  for (const text of texts) assert.equal(severityOf(text), "warning", text);
});

test("other markup is no finding", () => {
  const texts = [
    "Supports <b>bold</b> and <important-note>",
    "Usage: copy <source> <target> [INSTANCE]",
    "Important: paths are absolute",
    "Pipes a | b |> c",
    "<user> is a placeholder",
  ];
  for (const text of texts) assert.equal(severityOf(text), undefined, text);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { stripControl, stripLines } from "./terminal-text.ts";

test("what moves a terminal's cursor is taken out, and lines stay lines where they may", () => {
  const foreign = "a\r\n\u001b[2Jb\n\u202ec";
  assert.equal(stripControl(foreign), "a\ufffd\ufffd\ufffd[2Jb\ufffd\ufffdc");
  assert.equal(stripLines(foreign), "a\n\ufffd[2Jb\n\ufffdc");
  assert.equal(stripLines("a\nb", "  "), "a\n  b");
  assert.equal(stripLines("if x:\n\treturn\u0007"), "if x:\n\treturn\ufffd");
});

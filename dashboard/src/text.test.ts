import assert from "node:assert/strict";
import { test } from "node:test";
import { showHidden, showLine } from "./text.ts";

test("what cannot be seen is written out", () => {
  assert.equal(
    showHidden("a\u202egnp\u200b\u{e0041}\u0007\u001b[0m"),
    "a\\u{202e}gnp\\u{200b}\\u{e0041}\\u{7}\\u{1b}[0m",
  );
  assert.equal(showHidden("line\n\tnext ü 日本 👩"), "line\n\tnext ü 日本 👩");
  assert.equal(showLine("a\nb\tc\r"), "a\\nb\\tc\\u{d}");
});

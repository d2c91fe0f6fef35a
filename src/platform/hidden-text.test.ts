import assert from "node:assert/strict";
import { test } from "node:test";
import { quoteBriefly, showHidden, stripHidden } from "./hidden-text.ts";

test("what is hidden is written out, and what is not stays", () => {
  assert.equal(
    showHidden("a\u202eb\u200bc\u{e0041}d\u001b[0m\ud800"),
    "a\\u{202e}b\\u{200b}c\\u{e0041}d\\u{1b}[0m\\u{d800}",
  );
  for (const text of ["plain\ttext\nof\r\nlines", "Grüße, 日本語, עברית, हिन्दी, 🙂", "C:\\temp"])
    assert.equal(showHidden(text), text);
  assert.equal(stripHidden("i\u200bg\u2060n\u00adore\ufe0f"), "ignore");
});

test("a quotation is one line of bounded length", () => {
  assert.equal(quoteBriefly("a\n  b\u0000"), "a b\\u{0}");
  assert.equal(quoteBriefly("x".repeat(1_000_000)).length, 81);
  assert.equal(quoteBriefly("\u202e".repeat(100)).length, 81);
});

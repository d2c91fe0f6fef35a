import assert from "node:assert/strict";
import { test } from "node:test";
import { appendOutput, KEPT_CHARACTERS, plainOutput } from "./terminal-text.ts";

test("what only a terminal can do is taken out, and all else is left", () => {
  assert.equal(
    plainOutput("\u001b[1;31mred\u001b[0m \u001b]0;title\u0007plain\u001b]8;;http://x\u001b\\link\n"),
    "red plainlink\n",
  );
  assert.equal(plainOutput("10 %\r20 %\r\nnext\r\r\n"), "20 %\nnext\n");
  assert.equal(plainOutput("a\u0000b\u0008c\td \u009b31m<b>&amp;ü"), "abc\td 31m<b>&amp;ü");
  assert.equal(plainOutput("cut off \u001b["), "cut off ");
  assert.equal(plainOutput("cut off \u001b]0;tit"), "cut off ");
});

test("a line that is very long is cut, and told to be", () => {
  const text = plainOutput(`${"x".repeat(1024 * 1024)}\nshort`);
  assert.ok(text.length < 5_000);
  assert.match(text, /x… \(1044576 more characters in this line\)\nshort$/);
});

test("the newest end is kept", () => {
  const kept = appendOutput("a".repeat(KEPT_CHARACTERS), "end");
  assert.equal(kept.length, KEPT_CHARACTERS);
  assert.ok(kept.endsWith("aend"));
  assert.equal(appendOutput("a", "b"), "ab");
});

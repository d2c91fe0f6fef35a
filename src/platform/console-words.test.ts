import assert from "node:assert/strict";
import { test } from "node:test";
import { addConsoleWords } from "./console-words.ts";

const READY = "firebreak-agent: version 0.1.0 is ready\n";
const PANIC = "[  250.882033] Kernel panic - not syncing: sysrq triggered crash\n";

test("an end is told with the line that explains it, or the last ones", () => {
  assert.equal(addConsoleWords("it ended", ""), "it ended");
  assert.equal(addConsoleWords("it ended", "a\nb\n"), "it ended; the console ended with: a | b");
  const panicked = `${READY}${PANIC}[  250.897001]  panic+0x118/0x2f4\n`;
  assert.equal(addConsoleWords("it ended", panicked), `it ended; the console ended with: ${PANIC.trim()}`);
  assert.match(
    addConsoleWords("it ended", `${READY}firebreak-agent: no memory\nx\n`),
    /with: firebreak-agent: no memory$/,
  );
});

test("a panic of an earlier start explains no later end", () => {
  assert.equal(addConsoleWords("it ended", `${PANIC}${READY}`), `it ended; the console ended with: ${READY.trim()}`);
  assert.match(addConsoleWords("it ended", `${PANIC}${READY}disk full\n`), /ready \| disk full$/);
});

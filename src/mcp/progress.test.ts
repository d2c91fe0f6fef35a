import assert from "node:assert/strict";
import { test } from "node:test";
import { createProgressReporter, type ProgressNote } from "./progress.ts";

test("each step is told, news within a step at a bounded rate, and the number only grows", () => {
  const notes: ProgressNote[] = [];
  let nowMs = 0;
  const report = createProgressReporter(
    (note) => notes.push(note),
    () => nowMs,
  );
  report({ step: "build", message: "building", fraction: 0.1 });
  report({ step: "build", message: "building", fraction: 0.2 });
  nowMs = 300;
  report({ step: "build", message: "building", fraction: 0.5 });
  report({ step: "boot", message: "booting" });
  assert.deepEqual(notes, [
    { progress: 1, message: "building (10 %)" },
    { progress: 2, message: "building (50 %)" },
    { progress: 3, message: "booting" },
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCountOf, formatLastTries } from "./format.ts";

test("one thing is told in the singular, none and many are not", () => {
  assert.deepEqual(
    [0, 1, 2000].map((count) => formatCountOf(count, "task")),
    ["0 tasks", "1 task", "2,000 tasks"],
  );
  assert.deepEqual([0, 1, 2].map(formatLastTries), [
    "nothing has been tried",
    "of the last try",
    "of the last 2 tries",
  ]);
});

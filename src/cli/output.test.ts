import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge, formatBytes, formatDuration } from "./output.ts";

test("a duration has one unit that rounds nothing away which a person would miss", () => {
  assert.deepEqual(
    [0.4, 87.6, 999, 1000, 3449, 59_940, 60_000, 90_000, 600_000, 7_200_000, 259_200_000].map((ms) =>
      formatDuration(ms),
    ),
    ["0 ms", "88 ms", "999 ms", "1 s", "3.4 s", "59.9 s", "1 min", "90 s", "10 min", "2 h", "3 d"],
  );
});

test("a size has three digits or so", () => {
  assert.deepEqual([12, 1536, 100 * 1024 * 1024].map(formatBytes), ["12 B", "1.5 KiB", "100 MiB"]);
});

test("an age has one unit", () => {
  const ages = [5, 300, 7300, 200_000].map((seconds) => formatAge(new Date(0).toISOString(), seconds * 1000));
  assert.deepEqual(ages, ["5 s", "5 min", "2 h", "2 d"]);
  assert.equal(formatAge(undefined), "-");
});

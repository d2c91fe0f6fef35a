import assert from "node:assert/strict";
import { test } from "node:test";
import { scanTool } from "../../../../test/support/scan-tool.ts";

test("names that no model takes as they are, or with what goes before them, are told of", () => {
  for (const name of ["files.read", "read file", "lire_été", "a/b", "n".repeat(42)])
    assert.deepEqual(scanTool({ name }), ["warning name_unusable name"], name);
  assert.deepEqual(scanTool({ name: "n".repeat(50) }, { clientPrefix: "" }), []);
});

test("names within the bounds are no finding", () => {
  for (const name of ["n".repeat(41), "get-sum", "readFile", "a_b__c", "9"])
    assert.deepEqual(scanTool({ name }), [], name);
});

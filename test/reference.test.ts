import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { writeReference } from "../scripts/reference/index.ts";

const pages = await writeReference();

for (const [name, text] of Object.entries(pages)) {
  test(`docs/reference/${name} is what the source says`, () => {
    const found = readFileSync(`docs/reference/${name}`, "utf8");
    assert.ok(found === text, `docs/reference/${name} is stale; write it anew: make reference`);
  });
}

test("docs/reference holds no other page", () => {
  assert.deepEqual(readdirSync("docs/reference").sort(), Object.keys(pages).sort());
});

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { LAYERS } from "../.dependency-cruiser.mjs";

test("every folder below src/ has an import rule, and every rule a folder", () => {
  const folders = readdirSync("src", { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
  const named = Object.keys(LAYERS).filter((name) => !name.includes("/"));
  assert.deepEqual(folders.sort(), named.sort());
});

test("no file lies beside the folders of src/", () => {
  const files = readdirSync("src", { withFileTypes: true }).filter((entry) => !entry.isDirectory());
  assert.deepEqual(files, []);
});

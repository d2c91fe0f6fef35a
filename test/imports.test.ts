import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
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

test("what runs in a browser knows types of the contract, and nothing else of src/", () => {
  const files = readdirSync("dashboard/src", { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.endsWith(".test.ts"),
  );
  for (const { parentPath, name } of files) {
    const file = path.join(parentPath, name);
    for (const [statement, from = ""] of readFileSync(file, "utf8").matchAll(/\bimport\b[^"';]*["']([^"']+)["']/g)) {
      assert.doesNotMatch(from, /^node:/, file);
      const target = path.relative(".", path.resolve(parentPath, from));
      if (!from.startsWith(".") || target.startsWith("dashboard/src/")) continue;
      assert.match(target, /^src\/(contract\/|errors\/firebreak-error\.ts$)/, `${file}: ${statement}`);
      assert.match(statement, /^import type\b/, `${file}: only types may come from src/`);
    }
  }
});

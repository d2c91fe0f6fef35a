import assert from "node:assert/strict";
import { test } from "node:test";
import { checkImageName, digestFolder, isDigest } from "./names.ts";

test("ordinary names pass", () => {
  for (const name of ["debian", "a", "my-image_1.2", "0", "a".repeat(63)]) assert.equal(checkImageName(name), name);
});

test("a name that could leave its folder, hide or be too long is INVALID_NAME", () => {
  for (const name of ["", ".", "..", ".hidden", "-f", "A", "a/b", "a b", "a\n", "ä", "a\0", "a".repeat(64)]) {
    assert.throws(() => checkImageName(name), { code: "INVALID_NAME" });
  }
});

test("a name may have a tag, but not be taken for a digest", () => {
  for (const name of ["python:3.13-slim", "a:B_1", `${"a".repeat(63)}:${"b".repeat(63)}`])
    assert.equal(checkImageName(name), name);
  for (const name of ["a:", ":a", "a:b:c", "a:.b", "a:b/c", "a:-b", "sha256:abc", `a:${"b".repeat(64)}`]) {
    assert.throws(() => checkImageName(name), { code: "INVALID_NAME" });
  }
});

test("an image's folder is the first 16 digits of its digest", () => {
  const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
  assert.equal(digestFolder(digest), "0123456789abcdef");
  assert.equal(isDigest("sha256:12"), false);
  assert.throws(() => digestFolder("../../etc"), { code: "INVALID_ARGUMENT" });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { isWithin } from "./directory.ts";
import { createExcludes, leadsOut } from "./excludes.ts";
import { planDeletions } from "./guest-apply.ts";
import { nameCopy } from "./sides.ts";

test("patterns are those of .gitignore, and the file with them never travels", () => {
  const isExcluded = createExcludes(["*.log", "!keep.log"], "node_modules/\n# a comment\n/build\n");
  for (const path of ["a.log", "x/y.log", "build", ".firebreakignore", "sub/.firebreak-tmp-0a1b"])
    assert.ok(isExcluded(path, false), path);
  assert.ok(isExcluded("node_modules", true) && isExcluded("x/node_modules", true));
  for (const path of ["keep.log", "x/build", "node_modules", "sub/.firebreakignore"])
    assert.ok(!isExcluded(path, false), path);
});

test("a link leads out by its beginning, or by '..' behind a name that may be a link itself", () => {
  for (const [path, target] of [
    ["l", "/etc/passwd"],
    ["l", ".."],
    ["d/l", "../../x"],
    ["l", "d/../x"],
    ["d/l", "../e/f/../../.."],
  ] as const)
    assert.ok(leadsOut(path, target), `${path} -> ${target}`);
  for (const [path, target] of [
    ["l", "d/x"],
    ["d/l", "../x"],
    ["d/e/l", "../../x"],
    ["l", "./..x/y"],
    ["l", "."],
  ] as const)
    assert.ok(!leadsOut(path, target), `${path} -> ${target}`);
});

test("a copy has a name of its own that a file system takes", () => {
  assert.equal(
    nameCopy("notes.md", "web", () => false),
    "notes.from-web.md",
  );
  assert.equal(
    nameCopy(".env", "web", (name) => name === ".env.from-web"),
    ".env.from-web-2",
  );
  const long = nameCopy(`${"ä".repeat(125)}.md`, "web", () => false);
  assert.ok(Buffer.byteLength(long) <= 255 && long.endsWith(".from-web.md"));
});

test("a directory that goes as a whole is one request, unless something in it is not of the sync", () => {
  const leaf = { type: "symlink", target: "x" } as const;
  const operations = [
    { kind: "remove", path: "d/e/f", was: leaf },
    { kind: "remove_folder", path: "d/e" },
    { kind: "remove", path: "d/g", was: leaf },
    { kind: "remove_folder", path: "d" },
    { kind: "remove", path: "h", was: leaf },
  ] as const;
  assert.deepEqual(planDeletions(operations, new Set()), [
    { path: "d", recursive: true },
    { path: "h", recursive: false },
  ]);
  assert.deepEqual(planDeletions(operations, new Set(["d"])), [
    { path: "d/e", recursive: true },
    { path: "d/g", recursive: false },
    { path: "d", recursive: false },
    { path: "h", recursive: false },
  ]);
});

test("a directory lies within itself and those above it, and in no other that begins alike", () => {
  assert.ok(isWithin("/a/b", "/a/b") && isWithin("/a/b/c", "/a/b") && isWithin("/a/..b", "/a"));
  assert.ok(!isWithin("/a/bc", "/a/b") && !isWithin("/a", "/a/b") && isWithin("/a", "/"));
});

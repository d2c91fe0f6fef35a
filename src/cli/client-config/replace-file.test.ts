import assert from "node:assert/strict";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, beforeEach, test } from "node:test";
import { hasCode } from "../../../test/support/has-code.ts";
import { findFile, replaceFile } from "./replace-file.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "fb-replace-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folder: string;
let count = 0;
beforeEach(() => {
  folder = path.join(root, String(count++));
  mkdirSync(folder);
});

const now = new Date("2026-01-31T12:00:00.500Z");
const options = { mode: 0o600, now };

test("a file that is not there is made with its folders, and there is no backup", async () => {
  const file = path.join(folder, "a", "b.json");
  assert.equal(await replaceFile(await findFile(file), "new", options), undefined);
  assert.equal(readFileSync(file, "utf8"), "new");
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("what there was is kept beside it with its mode, once more in the same second", async () => {
  const file = path.join(folder, "b.json");
  writeFileSync(file, "old");
  chmodSync(file, 0o640);
  const backup = await replaceFile(await findFile(file), "new", options);
  assert.equal(backup, `${file}.firebreak-backup-20260131T120000Z`);
  assert.equal(await replaceFile(await findFile(file), "newer", options), `${backup}-2`);
  for (const [name, text] of [
    [file, "newer"],
    [backup, "old"],
    [`${backup}-2`, "new"],
  ] as const) {
    assert.equal(readFileSync(name, "utf8"), text);
    assert.equal(statSync(name).mode & 0o777, 0o640, name);
  }
});

test("links stay links, also one to a link, and one to what is not there yet", async () => {
  const kept = path.join(folder, "dotfiles");
  mkdirSync(kept);
  writeFileSync(path.join(kept, "real.json"), "old");
  symlinkSync("dotfiles/real.json", path.join(folder, "first"));
  symlinkSync("first", path.join(folder, "second"));
  symlinkSync("dotfiles/later.json", path.join(folder, "dangling"));
  await replaceFile(await findFile(path.join(folder, "second")), "new", options);
  await replaceFile(await findFile(path.join(folder, "dangling")), "made", options);
  for (const name of ["first", "second", "dangling"]) assert.ok(lstatSync(path.join(folder, name)).isSymbolicLink());
  assert.equal(readFileSync(path.join(kept, "real.json"), "utf8"), "new");
  assert.equal(readFileSync(path.join(kept, "later.json"), "utf8"), "made");
  assert.deepEqual(readdirSync(kept).sort(), ["later.json", "real.json"]);
});

test("what somebody else changed meanwhile is left alone, and nothing is left over", async () => {
  const file = path.join(folder, "b.json");
  writeFileSync(file, "old");
  const found = await findFile(file);
  writeFileSync(file, "theirs");
  await assert.rejects(replaceFile(found, "new", options), hasCode("CLIENT_CONFIG_CHANGED"));
  assert.equal(readFileSync(file, "utf8"), "theirs");
  assert.deepEqual(readdirSync(folder), ["b.json"]);
});

test("what is no file of text is refused", async () => {
  await assert.rejects(findFile(folder), hasCode("CLIENT_CONFIG_INVALID"));
  writeFileSync(path.join(folder, "latin"), Buffer.from([0x7b, 0xe9, 0x7d]));
  await assert.rejects(findFile(path.join(folder, "latin")), hasCode("CLIENT_CONFIG_INVALID"));
});

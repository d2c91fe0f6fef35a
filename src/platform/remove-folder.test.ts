import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { removeFolder } from "./remove-folder.ts";

test("a folder that a straggler writes to for a while is removed", async () => {
  const folder = path.join(mkdtempSync(path.join(os.tmpdir(), "fb-rm-")), "leaving");
  mkdirSync(folder);
  for (let n = 0; n < 500; n++) writeFileSync(path.join(folder, `old-${n}`), "");
  let written = 0;
  const straggler = setInterval(() => {
    try {
      writeFileSync(path.join(folder, `late-${written}`), "");
      written++;
    } catch {
      clearInterval(straggler); // the folder is gone
    }
  }, 1);
  setTimeout(() => clearInterval(straggler), 100);
  await removeFolder(folder);
  assert.ok(written > 0, "the straggler wrote");
  assert.equal(existsSync(folder), false);
});

test("a folder that is not there is no error", async () => {
  await removeFolder(path.join(os.tmpdir(), "fb-rm-none"));
});

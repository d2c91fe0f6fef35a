import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { sweepTasks } from "./sweep.ts";
import type { TaskRecord } from "./task-store.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-sweep-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("what no task has is removed, and nothing else", async () => {
  const [kept, gone] = ["0".repeat(12), "1".repeat(12)];
  const [used, unused] = ["a".repeat(64), "b".repeat(64)];
  const contentFolder = path.join(folder, "files");
  const store = {
    get: (id: string) => (id === kept ? ({} as TaskRecord) : undefined),
    unusedOf: (digests: readonly string[]) => digests.filter((digest) => digest !== `sha256:${used}`),
  };
  await sweepTasks({ folder: path.join(folder, "none"), contentFolder: path.join(folder, "none") }, store);
  for (const id of [kept, gone, "another"]) {
    mkdirSync(path.join(folder, id));
    writeFileSync(path.join(folder, id, "events.jsonl"), "");
  }
  mkdirSync(contentFolder);
  for (const name of [used, unused, "README"]) writeFileSync(path.join(contentFolder, name), "");
  await sweepTasks({ folder, contentFolder }, store);
  assert.deepEqual(readdirSync(folder).sort(), [kept, "another", "files"]);
  assert.deepEqual(readdirSync(contentFolder).sort(), ["README", used]);
});

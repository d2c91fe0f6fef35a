import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { BoundedLog, readBoundedLog } from "./bounded-log.ts";

const withFolder = (work: (folder: string) => void) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-log-"));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test("a log keeps the newest output and never more than twice its size", () => {
  withFolder((folder) => {
    const file = path.join(folder, "log");
    const log = new BoundedLog(file, 1000);
    for (let index = 0; index < 100; index++) log.append(Buffer.from(`line ${index}\n`.padEnd(50)));
    log.close();
    const kept = readBoundedLog(file).toString();
    assert.ok(kept.length <= 2000 && kept.includes("line 99"));
  });
});

test("a log that cannot turn over touches no descriptor that is not its own", () => {
  withFolder((folder) => {
    const file = path.join(folder, "log");
    mkdirSync(`${file}.1`);
    const log = new BoundedLog(file, 10);
    log.append(Buffer.alloc(10));
    log.append(Buffer.alloc(10));
    const other = openSync(path.join(folder, "other"), "w");
    log.append(Buffer.alloc(10));
    assert.equal(writeSync(other, "still mine"), 10);
    log.close();
    log.close();
  });
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { readLogTail } from "./vmm-process.ts";

test("QEMU's last words are those that explain its end", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-log-"));
  const log = path.join(folder, "vmm.log");
  const usual = "qemu-system-x86_64: warning: nic card has no peer\n";
  try {
    assert.equal(await readLogTail(log), "it printed nothing");
    writeFileSync(log, usual);
    assert.equal(await readLogTail(log), "it printed nothing");
    writeFileSync(log, `${usual}qemu-system-x86_64: terminating on signal 15\n`);
    assert.equal(await readLogTail(log), "qemu-system-x86_64: terminating on signal 15");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { explainKvm } from "./kvm.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-kvm-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("a device that is not there and one that opens are told apart", async () => {
  const device = path.join(folder, "kvm");
  assert.match((await explainKvm(device)) ?? "", /there is no .*kvm: the host has no hardware virtualisation/);
  writeFileSync(device, "");
  assert.equal(await explainKvm(device), undefined);
});

test("one that is closed to this user says which group opens it", {
  skip: process.getuid?.() === 0 && "root opens all",
}, async () => {
  const device = path.join(folder, "closed");
  writeFileSync(device, "", { mode: 0o000 });
  assert.match((await explainKvm(device)) ?? "", /closed to this user: its group has the id \d+/);
});

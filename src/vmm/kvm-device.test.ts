import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { explainClosed, explainKvm } from "./kvm-device.ts";

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

test("a device that is closed names the group that it is open to, if there is one", () => {
  const groups = "root:x:0:\nkvm:x:108:libvirt\n";
  const explain = (mode: number, gid: number) => explainClosed("/dev/kvm", { mode: 0o020_000 | mode, gid }, groups);
  assert.match(explain(0o660, 108), /closed to this user: the group 'kvm' may use it \(usermod -aG kvm USER/);
  assert.match(explain(0o660, 77), /the group 77, which has no name here, may use it/);
  assert.match(explain(0o600, 108), /closed to this user, and to its group: as root, chgrp kvm \/dev\/kvm/);
  assert.match(explain(0o640, 108), /and to its group/);
});

test("one that is closed to this user is told of", {
  skip: process.getuid?.() === 0 && "root opens all",
}, async () => {
  const device = path.join(folder, "closed");
  writeFileSync(device, "", { mode: 0o000 });
  assert.match((await explainKvm(device)) ?? "", /closed to this user/);
});

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { HostDisk } from "../../src/daemon/host-disk.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { testDriverContract } from "../../src/vmm/driver.contract.ts";
import { openSetting, type Setting } from "../support/vmm-setting.ts";

let setting: Setting;
let folder: string;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-driver-"));
  chmodSync(folder, 0o711);
  setting = await openSetting(process.env.FIREBREAK_TEST_HOME ?? path.join(os.homedir(), ".cache", "firebreak-test"));
});
after(() => {
  setting.close();
  rmSync(folder, { recursive: true, force: true });
});

testDriverContract("qemu", async () => ({
  driver: setting.driver,
  makeConfig: () => setting.makeConfig("contract"),
  copyDrive: (from, to) => new HostDisk(agentBinaryPath()).copySparse(from, to),
  hasGuests: true,
}));

import os from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { HostDisk } from "../../src/daemon/host-disk.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { testDriverContract } from "../../src/vmm/driver.contract.ts";
import { type FirecrackerSetting, openFirecrackerSetting } from "../support/firecracker-setting.ts";

let setting: FirecrackerSetting;
before(async () => {
  setting = await openFirecrackerSetting(
    process.env.FIREBREAK_TEST_HOME ?? path.join(os.homedir(), ".cache", "firebreak-test"),
  );
});
after(() => setting.close());

testDriverContract("firecracker", async () => ({
  driver: setting.driver,
  makeConfig: setting.makeConfig,
  copyDrive: (from, to) => new HostDisk(agentBinaryPath()).copySparse(from, to),
  hasGuests: true,
  hasHotplug: false,
}));

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { testDriverContract } from "../../src/vmm/driver.contract.ts";
import type { VmmConfig } from "../../src/vmm/driver.ts";
import { FakeDriver } from "../support/fake-driver.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "fb-fake-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

testDriverContract("fake", async () => ({
  driver: new FakeDriver(),
  copyDrive: async () => {},
  hasGuests: false,
  makeConfig: async () => {
    count++;
    const runtimeDir = path.join(folder, `v${count}`);
    return { vmId: `v${count}`, memoryMib: 16, runtimeDir, logPath: path.join(folder, "log") } as VmmConfig;
  },
}));

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { vmCreateSchema } from "../../src/contract/vm.ts";
import { createPaths, resolvePaths } from "../../src/platform/paths.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SqliteVmStore } from "../../src/store/vms.ts";
import type { BootSource } from "../../src/vms/ports.ts";
import { VmService } from "../../src/vms/service.ts";
import { FakeDriver } from "./fake-driver.ts";

/** A VM service on real SQLite and the real guest agent as a process, without a VMM. `restart` is what a new daemon does. */
export function openVmService() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-vms-"));
  const paths = resolvePaths({
    FIREBREAK_HOME: path.join(folder, "home"),
    FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
  });
  createPaths(paths);
  const rootfs = path.join(folder, "rootfs");
  writeFileSync(rootfs, "");
  const files = { kernelId: "k", kernelPath: rootfs, initrdPath: rootfs };
  const source: BootSource = {
    resolveImage: async (name) => ({ name, digest: "sha256:0", rootfsPath: rootfs }),
    resolveKernel: async () => files,
    getKernel: async () => files,
    createOverlay: async (file) => writeFileSync(file, ""),
  };
  const driver = new FakeDriver();
  const database = openDatabase(paths.database);
  const store = new SqliteVmStore(database);
  const open = () => new VmService({ paths, store, driver, source, log: () => {} });
  let vms = open();
  return {
    paths,
    driver,
    store,
    get vms() {
      return vms;
    },
    create: (name?: string) => vms.create(vmCreateSchema.parse(name === undefined ? {} : { name })),
    /** The old service is dropped as it stands, as by kill -9; a new one recovers. */
    restart: async () => {
      vms.close();
      vms = open();
      await vms.recover();
    },
    close: async () => {
      for (const vm of vms.list()) await vms.delete(vm.id);
      vms.close();
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

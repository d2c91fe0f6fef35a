import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type VmCreate, type VmState, vmCreateSchema } from "../../src/contract/vm.ts";
import { HostDriveFiles } from "../../src/images/drive-files.ts";
import { createPaths, resolvePaths } from "../../src/platform/paths.ts";
import { SavedFolder } from "../../src/snapshots/saved-folder.ts";
import { Templates } from "../../src/snapshots/templates.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SqliteDriveStore } from "../../src/store/drives.ts";
import { SqliteForwardStore } from "../../src/store/forwards.ts";
import { SqliteVmStore } from "../../src/store/vms.ts";
import { VmmDrivers } from "../../src/vmm/drivers.ts";
import { AttachedDrives } from "../../src/vms/attached-drives.ts";
import { Drives } from "../../src/vms/drives.ts";
import type { BootSource } from "../../src/vms/ports.ts";
import { VmService } from "../../src/vms/service.ts";
import type { VmServiceOptions } from "../../src/vms/service-options.ts";
import { VmSnapshots } from "../../src/vms/snapshots.ts";
import { FakeDisk } from "./fake-disk.ts";
import { FakeDriver } from "./fake-driver.ts";

/** A VM service on real SQLite and the real guest agent as a process, without a VMM. `restart` is what a new daemon does. */
export function openVmService({ network, memory }: Pick<VmServiceOptions, "network" | "memory"> = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-vms-"));
  const paths = resolvePaths({
    FIREBREAK_HOME: path.join(folder, "home"),
    FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
  });
  createPaths(paths);
  const rootfs = path.join(folder, "rootfs");
  writeFileSync(rootfs, "");
  const files = { kernelId: "k", kernelPath: rootfs, initrdPath: rootfs, kernelArgs: [] };
  const source: BootSource = {
    resolveImage: async (name) => ({ name, digest: "sha256:0", rootfsPath: rootfs, env: {} }),
    resolveKernel: async () => files,
    getKernel: async () => files,
  };
  const driver = new FakeDriver();
  const drivers = new VmmDrivers([driver]);
  const database = openDatabase(paths.database);
  let isDiskFull = false;
  const prepare = database.prepare.bind(database);
  database.prepare = (sql) => {
    if (!isDiskFull || !/^(INSERT|UPDATE|DELETE)/.test(sql)) return prepare(sql);
    // SQLITE_FULL, as node:sqlite throws it.
    throw Object.assign(new Error("database or disk is full"), { code: "ERR_SQLITE_ERROR", errcode: 13 });
  };
  const store = new SqliteVmStore(database);
  const forwardStore = new SqliteForwardStore(database);
  const disk = new FakeDisk();
  const driveStore = new SqliteDriveStore(database);
  const driveFiles = new HostDriveFiles();
  const open = () => {
    const snapshots = new SavedFolder(paths.snapshots, disk);
    const templates = new Templates({
      folder: new SavedFolder(paths.templates, disk),
      drivers,
      disk,
      runtimeDir: path.join(paths.runtime, "v"),
      uid: 1,
      log: () => {},
    });
    const log = () => {};
    const patience = { letGoMs: 500, forcedMs: 500 };
    const attached = new AttachedDrives({ paths, drives: driveStore, store, drivers, patience, log });
    const parts = { paths, store, drivers, source, disk, snapshots, attached, log };
    const vms = new VmService({ ...parts, templates, network, memory });
    const drives = new Drives({ paths, vms, store, drives: driveStore, attached, files: driveFiles, log });
    return { vms, templates, drives, snapshots: new VmSnapshots({ ...parts, vms }) };
  };
  let { vms, templates, snapshots, drives } = open();
  return {
    paths,
    driver,
    disk,
    store,
    driveStore,
    get drives() {
      return drives;
    },
    forwardStore,
    get vms() {
      return vms;
    },
    get templates() {
      return templates;
    },
    get snapshots() {
      return snapshots;
    },
    create: (name?: string, more: VmCreate = {}) =>
      vms.create(vmCreateSchema.parse({ ...(name === undefined ? {} : { name }), ...more })),
    /** From now on, or no longer, there is no space for any row. */
    setDiskFull: (isFull: boolean) => {
      isDiskFull = isFull;
    },
    /** The state that a dead daemon left, whatever the VM was in before. */
    leaveIn: (id: string, state: VmState) => {
      database.prepare("UPDATE vms SET state = ? WHERE id = ?").run(state, id);
    },
    /** The old service is dropped as it stands, as by kill -9; a new one recovers. */
    restart: async () => {
      vms.close();
      ({ vms, templates, snapshots, drives } = open());
      await vms.recover();
      await drives.sweep();
      await drives.recover();
    },
    close: async () => {
      for (const vm of vms.list()) await vms.delete(vm.id);
      vms.close();
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

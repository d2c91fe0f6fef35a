import { chmodSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { readdir } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { ImageLibrary } from "../../src/daemon/boot-source.ts";
import { HostDisk } from "../../src/daemon/host-disk.ts";
import { removeStrays } from "../../src/daemon/strays.ts";
import { HostDriveFiles } from "../../src/images/drive-files.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { createPaths, resolvePaths } from "../../src/platform/paths.ts";
import { SavedFolder } from "../../src/snapshots/saved-folder.ts";
import { type TemplateSpec, Templates } from "../../src/snapshots/templates.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SqliteDriveStore } from "../../src/store/drives.ts";
import { SqliteVmStore } from "../../src/store/vms.ts";
import { VmmDrivers } from "../../src/vmm/drivers.ts";
import { QemuDriver } from "../../src/vmm/qemu/driver.ts";
import { AttachedDrives } from "../../src/vms/attached-drives.ts";
import type { DriveStore } from "../../src/vms/drive-store.ts";
import { Drives } from "../../src/vms/drives.ts";
import { FIRST_VM_UID } from "../../src/vms/from-request.ts";
import { VmService } from "../../src/vms/service.ts";
import { VmSnapshots } from "../../src/vms/snapshots.ts";
import type { VmStore } from "../../src/vms/vm-store.ts";

/** The one kind of VM of the fault tests: they share a template. */
export const FAULT_KIND = {
  image: "debian",
  memoryMib: 256,
  cpus: 1,
  diskMib: 512,
  driver: "qemu",
  accel: "tcg",
} as const;

/** What a daemon is without its HTTP API, on real QEMU, put together and started as src/daemon/main.ts does it. */
export async function openSavingService(folder: string, watch: <T extends object>(store: T) => T = (store) => store) {
  const paths = resolvePaths({
    FIREBREAK_HOME: path.join(folder, "home"),
    FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
  });
  mkdirSync(folder, { recursive: true });
  // VMMs of a root daemon run as users of their own, which must reach their sockets below.
  chmodSync(folder, 0o711);
  shareImages(paths.home);
  createPaths(paths);
  const database = openDatabase(paths.database);
  const store: VmStore = watch(new SqliteVmStore(database));
  const agentPath = agentBinaryPath();
  const driver = new QemuDriver({
    cachePath: path.join(paths.home, "accel.json"),
    agentPath,
    probeRuntimeDir: path.join(paths.runtime, "probe"),
    probeUid: FIRST_VM_UID - 1,
  });
  const drivers = new VmmDrivers([driver]);
  const source = new ImageLibrary(paths, agentPath);
  const disk = new HostDisk(agentPath);
  const log = () => {};
  const templateFolder = new SavedFolder(paths.templates, disk);
  const snapshotFolder = new SavedFolder(paths.snapshots, disk);
  const runtimeDir = path.join(paths.runtime, "v");
  const templates = new Templates({ folder: templateFolder, drivers, disk, runtimeDir, uid: FIRST_VM_UID - 2, log });
  const driveStore: DriveStore = watch(new SqliteDriveStore(database));
  const attached = new AttachedDrives({ paths, drives: driveStore, store, drivers, log });
  const parts = { paths, store, drivers, source, disk, log, attached, snapshots: snapshotFolder };
  const vms = new VmService({ ...parts, templates });
  const snapshots = new VmSnapshots({ ...parts, vms });
  const files = new HostDriveFiles();
  const drives = new Drives({ paths, vms, store, drives: driveStore, attached, files, log });
  await vms.recover();
  await templateFolder.sweep();
  await snapshotFolder.sweep();
  const ids = () => new Set(store.list().map((record) => record.id));
  await removeStrays(paths, ids, (folder) => drivers.killUnrecorded(folder));
  await drives.sweep();
  await drives.recover();
  const spec = async (): Promise<TemplateSpec> => ({
    ...FAULT_KIND,
    image: await source.resolveImage(FAULT_KIND.image, {}),
    kernel: await source.resolveKernel({}),
  });
  /** Lets go of everything; the VMs go on. */
  const close = () => {
    vms.close();
    driver.close();
    database.close();
  };
  return { paths, store, driver, disk, templates, templateFolder, snapshotFolder, vms, snapshots, drives, spec, close };
}

export type SavingService = Awaited<ReturnType<typeof openSavingService>>;

function shareImages(home: string): void {
  const shared = path.resolve(process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test"));
  mkdirSync(home, { recursive: true, mode: 0o700 });
  for (const name of ["images", "kernels"]) {
    mkdirSync(path.join(shared, name), { recursive: true });
    if (!existsSync(path.join(home, name))) symlinkSync(path.join(shared, name), path.join(home, name));
  }
}

/** Names in a folder; none where there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [] as string[])).sort();
}

import type { DriverRequest } from "../contract/vm.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { SavedFolder } from "../snapshots/saved-folder.ts";
import type { Templates } from "../snapshots/templates.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { AdmissionOptions } from "./admission.ts";
import type { AttachedDrives } from "./attached-drives.ts";
import type { BootSource, MountHooks, NetworkHooks, WorkspaceHooks } from "./ports.ts";
import type { VmStore } from "./vm-store.ts";

/** What VmService is made with. */
export interface VmServiceOptions {
  paths: FirebreakPaths;
  store: VmStore;
  drivers: VmmDrivers;
  source: BootSource;
  templates: Templates;
  snapshots: SavedFolder;
  disk: Disk;
  attached: AttachedDrives;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** The driver of VMs that say none; absent: auto. */
  defaultDriver?: (() => DriverRequest) | undefined;
  /** How the host's memory is read, and how much of it is kept for VMs that run. */
  memory?: Pick<AdmissionOptions, "readHost" | "overcommit">;
  workspaces?: WorkspaceHooks;
  network?: NetworkHooks;
  mounts?: MountHooks;
}

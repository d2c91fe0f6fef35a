import type { FirebreakPaths } from "../platform/paths.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { SavedFolder } from "../snapshots/saved-folder.ts";
import type { Templates } from "../snapshots/templates.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import type { AdmissionOptions } from "./admission.ts";
import type { AttachedDrives } from "./attached-drives.ts";
import type { BootSource, MountHooks, NetworkHooks, WorkspaceHooks } from "./ports.ts";
import type { VmStore } from "./vm-store.ts";

/** What VmService is made with. */
export interface VmServiceOptions {
  paths: FirebreakPaths;
  store: VmStore;
  driver: VmmDriver;
  source: BootSource;
  templates: Templates;
  snapshots: SavedFolder;
  disk: Disk;
  attached: AttachedDrives;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** How the host's memory is read, and how much of it is kept for VMs that run. */
  memory?: Pick<AdmissionOptions, "readHost" | "overcommit">;
  workspaces?: WorkspaceHooks;
  network?: NetworkHooks;
  mounts?: MountHooks;
}

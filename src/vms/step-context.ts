import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { Saved } from "../snapshots/saved-folder.ts";
import type { Templates } from "../snapshots/templates.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { AttachedDrives } from "./attached-drives.ts";
import type { LiveVm } from "./live-vm.ts";
import type {
  BootSource,
  ImageRef,
  KernelRef,
  MountHooks,
  NetworkHooks,
  WorkOptions,
  WorkspaceHooks,
} from "./ports.ts";
import type { Sources } from "./sources.ts";
import type { VmChanges, VmRecord, VmStore } from "./vm-store.ts";

/** What one way through a plan carries from step to step. */
export interface StepContext {
  /** As the store has it before each step. */
  record: VmRecord;
  options: WorkOptions;
  image?: ImageRef;
  kernel?: KernelRef;
  /** What the VM is brought up from: found once, so that drive and memory are of the same machine. */
  saved?: Saved;
  accelReason?: string | undefined;
  /** Lets the next VM be restored. */
  endTurn?: () => void;
  /** What has been learnt of the VM on the way: written with its next state, since each write is a wait for the disk. */
  learnt?: VmChanges;
}

export interface VmStepsOptions {
  paths: FirebreakPaths;
  store: VmStore;
  drivers: VmmDrivers;
  source: BootSource;
  sources: Sources;
  templates: Templates;
  disk: Disk;
  attached: AttachedDrives;
  log: (message: string, fields: Record<string, unknown>) => void;
  workspaces?: WorkspaceHooks;
  network?: NetworkHooks;
  mounts?: MountHooks;
  open: (record: VmRecord) => LiveVm;
  close: (record: VmRecord) => void;
  live: (record: VmRecord) => LiveVm | undefined;
}

/** Throws VM_STATE_CONFLICT where there is none. */
export function vmmOf(record: VmRecord) {
  if (record.vmm !== undefined) return record.vmm;
  throw new FirebreakError("VM_STATE_CONFLICT", `the VM '${record.name}' has no VMM`);
}

import type { ATTACHMENT_STATES, DriveFormat } from "../contract/attachment.ts";

/** A drive as the store keeps it. Its bytes are in a file that its id names. */
export interface DriveRecord {
  id: string;
  name: string;
  /** Only a ready one is there for others. */
  state: "creating" | "ready" | "deleting";
  format: DriveFormat;
  /** What it is to have; its file is made as large when it next can be. */
  sizeMib: number;
  createdAt: string;
}

/** That a VM is to have a drive. It lasts while the VM is stopped or suspended. */
export interface AttachmentRecord {
  driveId: string;
  vmId: string;
  /** Its place at the VM's controller. */
  slot: number;
  path?: string;
  readOnly: boolean;
  state: (typeof ATTACHMENT_STATES)[number];
  reason?: string;
}

export interface DriveOfVm extends AttachmentRecord {
  drive: DriveRecord;
}

export interface VmOfDrive extends AttachmentRecord {
  vmName: string;
}

/** Where drives and their attachments are kept. A write is durable before it returns; a VM's attachments go with the VM. */
export interface DriveStore {
  /** Throws DRIVE_ALREADY_EXISTS. */
  insert(drive: DriveRecord): void;
  update(id: string, changes: Partial<Pick<DriveRecord, "state" | "format" | "sizeMib">>): DriveRecord;
  /** By name or id, of whatever state. */
  find(nameOrId: string): DriveRecord | undefined;
  list(): DriveRecord[];
  /** Marks a drive that nobody has as being deleted. Throws DRIVE_IN_USE. */
  beginDelete(id: string): void;
  remove(id: string): void;
  /**
   * Notes that a VM is to have a ready drive, at a free place, unless another has it and one of the two would write to it. Throws DRIVE_IN_USE,
   * DRIVE_LIMIT, DRIVE_NOT_FOUND, VM_NOT_FOUND.
   */
  attach(wanted: Omit<AttachmentRecord, "slot" | "reason">): DriveOfVm;
  change(vmId: string, driveId: string, changes: Pick<AttachmentRecord, "state"> & { reason?: string }): void;
  detach(vmId: string, driveId: string): void;
  /** By path, so that what is mounted below another comes after it. */
  ofVm(vmId: string): DriveOfVm[];
  ofDrive(driveId: string): VmOfDrive[];
  /** Ids of VMs that have any. */
  vms(): string[];
}

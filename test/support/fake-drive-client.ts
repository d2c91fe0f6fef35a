import type { Drive } from "../../src/contract/drive.ts";
import type { Vm } from "../../src/contract/vm.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../src/mcp/vm-client.ts";

type DriveCalls = Pick<VmClient, Extract<keyof VmClient, `drive${string}` | `volume${string}`>>;

/** The drives of a daemon in memory. */
export function createFakeDrives(findVm: (name: string) => Promise<Vm>): DriveCalls & { drives: Drive[] } {
  const find = (name: string) => {
    const drive = fake.drives.find((candidate) => candidate.name === name);
    if (drive === undefined) throw new FirebreakError("DRIVE_NOT_FOUND", `no drive is named '${name}'`);
    return drive;
  };
  const create: DriveCalls["driveCreate"] = async ({ name, sizeMib = 64, format = "ext4" }) => {
    const drive: Drive = {
      id: `id-${name}`,
      name,
      format,
      sizeMib,
      usedBytes: 4096,
      createdAt: new Date(0).toISOString(),
      attachments: [],
    };
    fake.drives.push(drive);
    return drive;
  };
  const remove = async (name: string) => {
    const drive = find(name);
    if (drive.attachments.length > 0) throw new FirebreakError("DRIVE_IN_USE", "a VM has it");
    fake.drives = fake.drives.filter((other) => other !== drive);
    return { deleted: drive.name, id: drive.id };
  };
  const fake: DriveCalls & { drives: Drive[] } = {
    drives: [],
    driveCreate: create,
    driveList: async () => fake.drives,
    driveGet: async (name) => find(name),
    driveGrow: async (name, sizeMib) => Object.assign(find(name), { sizeMib }),
    driveAttach: async (vmName, { drive: name, path, readOnly = false }) => {
      const drive = find(name);
      const { id, name: vm } = await findVm(vmName);
      const entry = {
        vm: { id, name: vm },
        ...(path === undefined ? {} : { path }),
        readOnly,
        state: "attached" as const,
      };
      drive.attachments.push(entry);
      return { drive: { id: drive.id, name }, ...entry, device: "/dev/sda" };
    },
    driveDetach: async (vmName, name) => {
      const drive = find(name);
      const vm = await findVm(vmName);
      const entry = drive.attachments.find((candidate) => candidate.vm.id === vm.id);
      if (entry === undefined) throw new FirebreakError("DRIVE_NOT_FOUND", "the VM does not have it");
      drive.attachments = drive.attachments.filter((other) => other !== entry);
      return { drive: { id: drive.id, name }, ...entry };
    },
    driveDelete: remove,
    volumeCreate: create,
    volumeList: async () => fake.drives.filter((drive) => drive.format === "ext4"),
    volumeGet: async (name) => find(name),
    volumeDelete: remove,
  };
  return fake;
}

import type { Drive } from "../../../src/contract/drive.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { type FakeWorld, findVm } from "./world.ts";

/** The drives of a daemon in memory. */
export function createFakeDrives(world: FakeWorld): Pick<VmClient, "drives" | "volumes"> {
  const find = (name: string) => {
    const drive = world.drives.find((candidate) => candidate.name === name);
    if (drive === undefined) throw new FirebreakError("DRIVE_NOT_FOUND", `no drive is named '${name}'`);
    return drive;
  };
  const create: VmClient["drives"]["create"] = async ({ name, sizeMib = 64, format = "ext4" }) => {
    const drive: Drive = {
      id: `id-${name}`,
      name,
      format,
      sizeMib,
      usedBytes: 4096,
      createdAt: new Date(0).toISOString(),
      changedAt: new Date(0).toISOString(),
      attachments: [],
    };
    world.drives.push(drive);
    return drive;
  };
  const remove = async (name: string) => {
    const drive = find(name);
    if (drive.attachments.length > 0) throw new FirebreakError("DRIVE_IN_USE", "a VM has it");
    world.drives = world.drives.filter((other) => other !== drive);
    return { deleted: drive.name, id: drive.id };
  };
  return {
    drives: {
      create,
      list: async () => world.drives,
      get: async (name) => find(name),
      grow: async (name, sizeMib) => Object.assign(find(name), { sizeMib }),
      attach: async (vmName, { drive: name, path, readOnly = false }) => {
        const drive = find(name);
        const { id, name: vm } = findVm(world, vmName);
        const entry = {
          vm: { id, name: vm },
          ...(path === undefined ? {} : { path }),
          readOnly,
          state: "attached" as const,
        };
        drive.attachments.push(entry);
        return { drive: { id: drive.id, name }, ...entry, device: "/dev/sda" };
      },
      detach: async (vmName, name) => {
        const drive = find(name);
        const vm = findVm(world, vmName);
        const entry = drive.attachments.find((candidate) => candidate.vm.id === vm.id);
        if (entry === undefined) throw new FirebreakError("DRIVE_NOT_FOUND", "the VM does not have it");
        drive.attachments = drive.attachments.filter((other) => other !== entry);
        return { drive: { id: drive.id, name }, ...entry };
      },
      delete: remove,
    },
    volumes: {
      create,
      list: async () => world.drives.filter((drive) => drive.format === "ext4"),
      get: async (name) => find(name),
      delete: remove,
    },
  };
}

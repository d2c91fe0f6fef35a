import type { Template } from "../../../src/contract/snapshot.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { addVm, type FakeWorld, fail, fakeSnapshot, findVm } from "./world.ts";

export function createFakeSnapshots(world: FakeWorld): VmClient["snapshots"] {
  const find = (name: string) =>
    world.snapshots.find((snapshot) => snapshot.name === name || snapshot.id === name) ??
    fail(new FirebreakError("SNAPSHOT_NOT_FOUND", `no snapshot is named '${name}'`));
  return {
    create: async (name, wanted) => {
      const snapshot = fakeSnapshot(findVm(world, name), wanted ?? "made-up");
      world.snapshots.push(snapshot);
      return snapshot;
    },
    list: async () => world.snapshots,
    get: async (name) => ({ ...find(name), ancestors: world.snapshots.slice(0, -1) }),
    restore: async (name) => findVm(world, find(name).vm.name),
    fork: async (name, request) => {
      find(name);
      return addVm(world, request.name);
    },
    delete: async (name) => {
      const snapshot = find(name);
      world.snapshots = world.snapshots.filter((other) => other !== snapshot);
      return { deleted: snapshot.name, id: snapshot.id };
    },
  };
}

export function createFakeTemplates(world: FakeWorld): VmClient["templates"] {
  const find = (id: string) =>
    world.templates.find((template) => template.id === id) ??
    fail(new FirebreakError("TEMPLATE_NOT_FOUND", `no template has the id '${id}'`));
  return {
    list: async () => world.templates,
    create: async ({ memoryMib = 512 }) => {
      const made = { ...(world.templates[0] as Template), id: "c", memoryMib };
      world.templates.push(made);
      return made;
    },
    get: async (id) => find(id),
    delete: async (id) => {
      const template = find(id);
      world.templates = world.templates.filter((other) => other !== template);
      return { deleted: id };
    },
    prune: async (all) => {
      const pruned = world.templates.filter((template) => all || template.isStale);
      world.templates = world.templates.filter((template) => !pruned.includes(template));
      return pruned;
    },
  };
}

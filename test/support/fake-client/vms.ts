import { PassThrough } from "node:stream";
import type { Vm } from "../../../src/contract/vm.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { addVm, type FakeWorld, findVm } from "./world.ts";

/** VMs that are in whatever state was asked for at once. */
export function createFakeVms(world: FakeWorld): VmClient["vms"] {
  const changeState = async (name: string, state: Vm["state"]) => Object.assign(findVm(world, name), { state });
  return {
    list: async () => world.vms,
    get: async (name) => findVm(world, name),
    create: async (request, options) => {
      options?.onProgress?.({ step: "boot", message: "booting" });
      return addVm(world, request.name);
    },
    start: async (name) => findVm(world, name),
    stop: async (name) => findVm(world, name),
    delete: async (name) => {
      const vm = findVm(world, name);
      world.vms = world.vms.filter((other) => other !== vm);
      return { deleted: vm.name, id: vm.id };
    },
    pause: (name) => changeState(name, "paused"),
    resume: (name) => changeState(name, "running"),
    suspend: (name) => changeState(name, "suspended"),
    plan: async (name, { state }) => ({
      vm: findVm(world, name),
      steps: state === "absent" ? [{ kind: "end_vmm" }, { kind: "remove_files" }] : [{ kind: "mark", state }],
    }),
    fork: async (name, request) => {
      findVm(world, name);
      return addVm(world, request.name);
    },
    update: async (name, { labels }) => {
      const vm = findVm(world, name);
      const kept = Object.entries({ ...vm.labels, ...labels }).filter(
        (pair): pair is [string, string] => pair[1] !== null,
      );
      return Object.assign(vm, { labels: Object.fromEntries(kept) });
    },
    wait: async (name) => {
      const vm = findVm(world, name);
      return { state: vm.state, vm };
    },
    stats: async (name) => {
      const { name: vm, state, cpus } = findVm(world, name);
      const drive = { sizeBytes: 100, allocatedBytes: 10 };
      const vmm = { cpuMs: 5, rssBytes: 7 };
      return { vm, state, cpus, at: new Date(0).toISOString(), memoryBytes: 512, drive, vmm };
    },
    logs: async (name, isFollowed, options) => {
      findVm(world, name);
      const log = new PassThrough();
      log.write(world.console);
      if (!isFollowed) log.end();
      else world.followers.add(log);
      log.once("close", () => world.followers.delete(log));
      options?.signal?.addEventListener("abort", () => log.destroy(), { once: true });
      return log;
    },
  };
}

import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { type FakeWorld, fail, findVm } from "./world.ts";

/** A network that nothing happens in, and a vault that is empty. */
export function createFakeNetwork(world: FakeWorld): Pick<VmClient, "policies" | "network" | "egress" | "secrets"> {
  return {
    policies: {
      get: async (name) => {
        const vm = findVm(world, name);
        return { vm: vm.name, policy: vm.network, secrets: vm.secrets, warnings: [] };
      },
      set: async (name, policy) => Object.assign(findVm(world, name), { network: policy }),
      probe: async (name) => ({ vm: findVm(world, name).name, isTight: true, findings: [] }),
    },
    network: {
      status: async () => ({ isSetUp: false, nameservers: [], vms: [], drift: [] }),
      setUp: async () => ({ isSetUp: true, nameservers: [], vms: [], drift: [] }),
      tearDown: async () => ({ isSetUp: false, nameservers: [], vms: [], drift: [] }),
    },
    egress: { list: async () => ({ events: [], more: false }) },
    secrets: {
      list: async () => [],
      get: async (name) => fail(new FirebreakError("SECRET_NOT_FOUND", `there is no secret ${name}`)),
      delete: async (name) => ({ deleted: name }),
    },
  };
}

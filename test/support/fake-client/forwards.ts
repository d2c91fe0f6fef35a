import type { Forward } from "../../../src/contract/forward.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { type FakeWorld, fail, findVm } from "./world.ts";

/** Forwards that nobody connects to. */
export function createFakeForwards(world: FakeWorld): VmClient["forwards"] {
  const find = (id: string) =>
    world.forwards.find((forward) => forward.id === id) ??
    fail(new FirebreakError("FORWARD_NOT_FOUND", `there is no forward '${id}'`));
  return {
    create: async (name, request) => {
      const { id, name: vm } = findVm(world, name);
      const forward: Forward = {
        id: `f${world.forwards.length}`,
        vm: { id, name: vm },
        hostAddress: request.hostAddress ?? "127.0.0.1",
        hostPort: request.hostPort || 40_000,
        guestPort: request.guestPort,
        state: "listening",
        connections: { open: 0, total: 0, refused: 0 },
        bytes: { toGuest: 0, fromGuest: 0 },
        createdAt: "2026-01-01T00:00:00.000Z",
      };
      world.forwards.push(forward);
      return forward;
    },
    list: async () => world.forwards,
    get: async (id) => find(id),
    delete: async (id) => {
      const forward = find(id);
      world.forwards = world.forwards.filter((other) => other !== forward);
      return { deleted: forward.id };
    },
  };
}

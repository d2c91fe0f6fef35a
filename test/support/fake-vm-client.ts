import { CallLedger } from "../../src/daemon/call-ledger.ts";
import type { VmClient } from "../../src/mcp/vm-client.ts";
import { CallStore } from "../../src/store/calls.ts";
import { ConfirmationStore } from "../../src/store/confirmations.ts";
import { openDatabase } from "../../src/store/database.ts";
import { createFakeArtifacts } from "./fake-client/artifacts.ts";
import { createFakeDaemon } from "./fake-client/daemon.ts";
import { createFakeDrives } from "./fake-client/drives.ts";
import { createFakeExecs, type FakeRun } from "./fake-client/execs.ts";
import { createFakeFiles, readFile } from "./fake-client/files.ts";
import { createFakeForwards } from "./fake-client/forwards.ts";
import { createFakeImages, createFakeKernels } from "./fake-client/images.ts";
import { createFakeNetwork } from "./fake-client/network.ts";
import { createFakeSnapshots, createFakeTemplates } from "./fake-client/saved.ts";
import { createFakeTasks } from "./fake-client/tasks.ts";
import { createFakeVms } from "./fake-client/vms.ts";
import { createWorld, type FakeWorld } from "./fake-client/world.ts";

export type { FakeRun } from "./fake-client/execs.ts";
export { fakeImage } from "./fake-client/world.ts";

export interface FakeVmClient extends VmClient {
  world: FakeWorld;
}

/** A daemon with VMs in memory, for tests of what talks to it. Confirm tokens and idempotency keys are the daemon's own. */
export function createFakeVmClient(names: string[] = ["web"], run: FakeRun = {}): FakeVmClient {
  const world = createWorld(names);
  const database = openDatabase(":memory:");
  const confirmations = new ConfirmationStore(database, () => world.nowMs);
  const calls = new CallLedger(new CallStore(database));
  return {
    world,
    ...createFakeDaemon(world),
    ...createFakeDrives(world),
    ...createFakeNetwork(world),
    artifacts: createFakeArtifacts((path) => readFile(world, path)),
    audit: {
      list: async () => ({ entries: [], more: false }),
      report: async (report) => void world.reports.push(report),
    },
    execs: createFakeExecs(world, run),
    files: createFakeFiles(world),
    forwards: createFakeForwards(world),
    images: createFakeImages(world),
    kernels: createFakeKernels(world),
    snapshots: createFakeSnapshots(world),
    tasks: createFakeTasks(),
    templates: createFakeTemplates(world),
    vms: createFakeVms(world),
    confirmations: {
      create: async (request) => confirmations.create(request),
      redeem: async (request) => confirmations.redeem(request),
    },
    callClaim: async (request, options) => {
      const claim = await calls.claim(request, options?.signal ?? new AbortController().signal, () => {});
      if ("answer" in claim) return claim;
      return {
        call: {
          finish: async (answer) => calls.finish(claim.id, answer),
          release: async () => calls.release(claim.id),
        },
      };
    },
  };
}

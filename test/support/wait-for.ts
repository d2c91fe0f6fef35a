import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { DaemonClient } from "../../src/client/daemon-client.ts";
import type { Vm, VmState } from "../../src/contract/vm.ts";

/**
 * Looks every 10 ms until `condition` holds; fails after `deadlineMs`. For what lasts once it is there: a state that goes by
 * between two looks is never seen, so tests hold the VM in it.
 */
export async function waitFor(condition: () => boolean | Promise<boolean>, deadlineMs = 90_000): Promise<void> {
  for (const deadline = Date.now() + deadlineMs; !(await condition()); await sleep(10))
    assert.ok(Date.now() < deadline, `it did not come about within ${deadlineMs / 1000} s`);
}

/** The same for a VM's state; returns the VM in it. */
export async function waitForVmState(client: DaemonClient, name: string, state: VmState): Promise<Vm> {
  let vm = await client.vms.get(name);
  await waitFor(async () => {
    vm = await client.vms.get(name);
    return vm.state === state;
  });
  return vm;
}

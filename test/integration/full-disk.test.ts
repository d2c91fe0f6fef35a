import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";
import { waitFor } from "../support/wait-for.ts";

let service: ReturnType<typeof openVmService>;
beforeEach(() => {
  service = openVmService();
});
afterEach(() => service.close());

const state = () => service.vms.get("one").state;
const kinds = () => service.vms.events({ vm: "one" }).map(({ kind }) => kind);
const count = (kind: string) => kinds().filter((found) => found === kind).length;
const vmm = () => {
  const record = service.store.find("one")?.vmm;
  assert.ok(record !== undefined);
  return record;
};

test("a VM that stands still on a full disk is paused and says why, and goes on when there is room", async () => {
  await service.create("one");
  service.disk.free = 0;
  await service.driver.stall(vmm());
  await waitFor(() => state() === "paused");
  assert.match(service.vms.get("one").reason ?? "", /disk is full/);
  assert.equal(count("disk_full"), 1);
  // Nor is it ended by whoever lets it go on too early: there is no room for the note of that.
  await assert.rejects(service.vms.resume("one"), hasCode("HOST_DISK_FULL"));
  await assert.rejects(service.vms.start("one"), hasCode("HOST_DISK_FULL"));
  assert.equal(state(), "paused");
  await assert.rejects(
    service.vms.use("one", {}, async () => {}),
    /disk is full/,
  );
  service.disk.free = 2 ** 30;
  await waitFor(() => state() === "running");
  assert.equal(service.vms.get("one").reason, undefined);
  assert.deepEqual(kinds().slice(-3), ["disk_full", "disk_has_room", "running"]);
});

test("it is noted where not even a row can be written, and once however often the VMM says so", async () => {
  await service.create("one");
  service.disk.free = 0;
  service.setDiskFull(true);
  for (let times = 0; times < 5; times++) await service.driver.stall(vmm());
  await waitFor(() => state() === "paused");
  service.setDiskFull(false);
  service.disk.free = 2 ** 30;
  await waitFor(() => state() === "running");
  await waitFor(() => count("disk_has_room") === 1);
  assert.equal(count("disk_full"), 1);
});

test("the next daemon lets it go on, and leaves one alone that somebody has paused", async () => {
  await service.create("one");
  await service.create("two");
  await service.vms.pause("two");
  service.disk.free = 0;
  await service.driver.stall(vmm());
  await waitFor(() => state() === "paused");
  await service.restart();
  assert.equal(state(), "paused");
  service.disk.free = 2 ** 30;
  await waitFor(() => state() === "running");
  assert.equal(service.vms.get("two").state, "paused");
});

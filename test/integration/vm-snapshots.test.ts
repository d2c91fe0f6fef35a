import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";

let service: ReturnType<typeof openVmService>;
beforeEach(async () => {
  service = openVmService();
  await service.create("one");
});
afterEach(() => service.close());

const fileOf = (id: string, name: string) => path.join(service.paths.snapshots, id, name);

/** Each way in which a snapshot can turn out to be of no use, and the code that says so. */
const FAULTS: { fault: string; code: string; spoil: (id: string) => Promise<void> }[] = [
  {
    fault: "whose memory is cut short",
    code: "SNAPSHOT_CORRUPT",
    spoil: (id) => truncate(fileOf(id, "memory"), 1000),
  },
  { fault: "with another state", code: "SNAPSHOT_CORRUPT", spoil: (id) => flip(fileOf(id, "state")) },
  { fault: "with another drive", code: "SNAPSHOT_CORRUPT", spoil: (id) => flip(fileOf(id, "overlay.ext4")) },
  {
    fault: "of another host",
    code: "SNAPSHOT_INCOMPATIBLE",
    spoil: async () => {
      service.driver.traits = { vmm: "fake 2.0.0" };
    },
  },
];

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

for (const { fault, code, spoil } of FAULTS) {
  test(`a snapshot ${fault} is refused by its name, and its VM stays as it was`, async () => {
    const { id } = await service.snapshots.create("one", "ready");
    const { pid } = service.vms.get("one");
    await spoil(id);
    await assert.rejects(service.snapshots.restore("ready"), hasCode(code));
    await assert.rejects(service.snapshots.fork("ready", {}), hasCode(code));
    const [vm, ...others] = service.vms.list();
    assert.deepEqual([vm?.state, vm?.pid, others.length], ["running", pid, 0]);
    assert.equal((await service.snapshots.delete("ready")).id, id);
    assert.deepEqual(readdirSync(service.paths.snapshots), []);
  });
}

test("the name of a snapshot that is not whole stays taken until it is deleted", async () => {
  const { id } = await service.snapshots.create("one", "ready");
  await truncate(fileOf(id, "memory"), 1000);
  await assert.rejects(service.snapshots.create("one", "ready"), hasCode("SNAPSHOT_ALREADY_EXISTS"));
  assert.deepEqual(await service.snapshots.delete("ready"), { id, name: "ready" });
  assert.equal((await service.snapshots.create("one", "ready")).name, "ready");
});

test("a restored VM has nothing left of a suspension that was given up", async () => {
  const { id } = service.vms.get("one");
  await service.snapshots.create("one", "ready");
  await service.vms.suspend("one");
  assert.ok(existsSync(path.join(service.paths.vms, id, "suspension", id)));
  assert.equal((await service.snapshots.restore("ready")).state, "running");
  assert.equal(existsSync(path.join(service.paths.vms, id, "suspension", id)), false);
});

test("a VM whose suspension is not whole says how to start it anew, and can be", async () => {
  const { id } = service.vms.get("one");
  await service.vms.suspend("one");
  await flip(path.join(service.paths.vms, id, "suspension", id, "state"));
  await assert.rejects(
    service.vms.use("one", {}, async () => {}),
    (error: unknown) =>
      hasCode("SNAPSHOT_CORRUPT")(error) && /vm stop --force one/.test((error as FirebreakError).hint ?? ""),
  );
  await service.vms.stop("one", 0);
  assert.equal((await service.vms.start("one")).state, "running");
});

test("a template that is not there cannot be deleted", async () => {
  const [template] = await service.templates.list(async () => undefined);
  assert.ok(template !== undefined);
  await service.templates.delete(template.id);
  for (const id of [template.id, "f".repeat(16), "../../home", "x"])
    await assert.rejects(service.templates.delete(id), hasCode("TEMPLATE_NOT_FOUND"));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission } from "./admission.ts";

const MIB = 1024 * 1024;

test("what fits is let in at once, what does not is refused with the figures", async () => {
  const admission = new Admission({ readHost: () => ({ totalMib: 1000, freeMib: 300 }) });
  admission.claim(300).release();
  (await admission.admit(300, {})).release();
  const refusal = {
    code: "VM_MEMORY_EXHAUSTED",
    message: "the VM wants 301 MiB; 300 MiB of the host's 1000 MiB are free",
    details: { memoryMib: 301, freeMib: 300, totalMib: 1000, availableMib: 300, keptMib: 0 },
  };
  assert.throws(() => admission.claim(301), refusal);
  await assert.rejects(admission.admit(301, {}), refusal);
});

test("what was promised to others and is not taken yet is kept for them, or the part of it that the owner says", () => {
  let overcommit = 1;
  const own = new Map([
    [1, 150 * MIB],
    [2, 700 * MIB],
  ]);
  const holders = [
    { id: "a", memoryMib: 512, pid: 1 },
    // Its VMM has more to itself than its guest's memory.
    { id: "b", memoryMib: 512, pid: 2 },
    // It has just ended.
    { id: "c", memoryMib: 512, pid: 3 },
  ];
  const admission = new Admission({
    readHost: () => ({ totalMib: 2000, freeMib: 1000 }),
    holders: () => holders,
    readOwn: (pid) => own.get(pid),
    overcommit: () => overcommit,
  });
  const refusal = (freeMib: number, keptMib: number) => ({
    code: "VM_MEMORY_EXHAUSTED",
    message: `the VM wants 1000 MiB; ${freeMib} MiB of the host's 2000 MiB are free: 1000 MiB are available, of which ${keptMib} MiB are kept for other VMs`,
  });
  assert.throws(() => admission.claim(1000), refusal(638, 362));
  const starting = admission.claim(200);
  assert.throws(() => admission.claim(1000), refusal(438, 562));
  // As soon as it has a VMM, that counts, and not both.
  starting.vmId = "a";
  assert.throws(() => admission.claim(1000), refusal(638, 362));
  starting.release();
  overcommit = 4;
  assert.throws(() => admission.claim(1000), refusal(909, 91));
});

test("unless the owner says otherwise, twenty idle VMs of 512 MiB fit into a host of 4 GiB", () => {
  const holders: { id: string; memoryMib: number; pid: number }[] = [];
  const idleMib = 41;
  const admission = new Admission({
    readHost: () => ({ totalMib: 4096, freeMib: 3600 - holders.length * idleMib }),
    holders: () => holders,
    readOwn: () => idleMib * MIB,
  });
  for (let pid = 1; pid <= 20; pid++) {
    admission.claim(512).release();
    holders.push({ id: String(pid), memoryMib: 512, pid });
  }
  assert.throws(() => admission.claim(512), { code: "VM_MEMORY_EXHAUSTED" });
});

test("one that may wait is let in when there is room, in order of arrival, and told what it waits for", async () => {
  let freeMib = 10;
  const admission = new Admission({ readHost: () => ({ totalMib: 1000, freeMib }) });
  const admitted: number[] = [];
  const messages: string[] = [];
  const onProgress = ({ message }: { message: string }) => void messages.push(message);
  const waiting = [200, 100].map(async (memoryMib) => {
    await admission.admit(memoryMib, { admissionWaitMs: 60_000, onProgress });
    admitted.push(memoryMib);
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(admitted, []);
  freeMib = 500;
  await Promise.all(waiting);
  assert.deepEqual(admitted, [200, 100]);
  assert.equal(messages[0], "waiting for 200 MiB of the host's memory; 10 MiB are free");
});

test("those that wait together are not let in to the same memory", async () => {
  const admission = new Admission({ readHost: () => ({ totalMib: 1000, freeMib: 300 }), overcommit: () => 1 });
  const wait = { admissionWaitMs: 60_000 };
  const first = await admission.admit(200, wait);
  let isIn = false;
  const second = admission.admit(200, wait).then(() => {
    isIn = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isIn, false);
  first.release();
  await second;
});

test("a wait ends with its time, with its caller, and does not begin where it is in vain", async () => {
  const admission = new Admission({ readHost: () => ({ totalMib: 1000, freeMib: 10 }) });
  await assert.rejects(admission.admit(1001, { admissionWaitMs: 60_000 }), { code: "VM_MEMORY_EXHAUSTED" });
  await assert.rejects(admission.admit(20, { admissionWaitMs: 30 }), { code: "VM_MEMORY_EXHAUSTED" });
  const leaving = new AbortController();
  const waiting = admission.admit(20, { admissionWaitMs: 60_000, signal: leaving.signal });
  leaving.abort();
  await assert.rejects(waiting, { code: "OPERATION_CANCELED" });
});

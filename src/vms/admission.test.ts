import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission } from "./admission.ts";

test("what fits is let in at once, what does not is refused with the figures", async () => {
  const admission = new Admission(() => ({ totalMib: 1000, freeMib: 300 }));
  admission.check(300);
  await admission.admit(300, {});
  const refusal = {
    code: "VM_MEMORY_EXHAUSTED",
    message: "the VM wants 301 MiB; 300 MiB of the host's 1000 MiB are available",
    details: { memoryMib: 301, freeMib: 300, totalMib: 1000 },
  };
  assert.throws(() => admission.check(301), refusal);
  await assert.rejects(admission.admit(301, {}), refusal);
});

test("one that may wait is let in when there is room, in order of arrival, and told what it waits for", async () => {
  let freeMib = 10;
  const admission = new Admission(() => ({ totalMib: 1000, freeMib }));
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
  assert.equal(messages[0], "waiting for 200 MiB of the host's memory; 10 MiB are available");
});

test("a wait ends with its time, with its caller, and does not begin where it is in vain", async () => {
  const admission = new Admission(() => ({ totalMib: 1000, freeMib: 10 }));
  await assert.rejects(admission.admit(1001, { admissionWaitMs: 60_000 }), { code: "VM_MEMORY_EXHAUSTED" });
  await assert.rejects(admission.admit(20, { admissionWaitMs: 30 }), { code: "VM_MEMORY_EXHAUSTED" });
  const leaving = new AbortController();
  const waiting = admission.admit(20, { admissionWaitMs: 60_000, signal: leaving.signal });
  leaving.abort();
  await assert.rejects(waiting, { code: "OPERATION_CANCELED" });
});

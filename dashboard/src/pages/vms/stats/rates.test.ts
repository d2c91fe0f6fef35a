import assert from "node:assert/strict";
import { test } from "node:test";
import type { VmStats } from "../../../../../src/contract/vm.ts";
import { ratesOf } from "./rates.ts";

const stats = (seconds: number, cpuMs: number, received?: number) =>
  ({
    at: new Date(seconds * 1000).toISOString(),
    cpus: 2,
    vmm: { cpuMs, rssBytes: 0 },
    ...(received === undefined ? {} : { network: { receivedBytes: received, sentBytes: 0 } }),
  }) as VmStats;

test("rates are by the second, and of all CPUs", () => {
  assert.deepEqual(ratesOf(stats(0, 0, 100), stats(2, 1_000, 300)), {
    cpuShare: 0.25,
    receivedPerSecond: 100,
    sentPerSecond: 0,
  });
  assert.equal(ratesOf(stats(0, 0), stats(2, 9_000))?.cpuShare, 1);
  assert.equal(ratesOf(stats(0, 0), stats(2, 0))?.receivedPerSecond, undefined);
});

test("another VMM, or none, has no rate against the one before", () => {
  assert.equal(ratesOf(stats(0, 5_000), stats(2, 100)), undefined);
  assert.equal(ratesOf(stats(2, 0), stats(2, 100)), undefined);
  assert.equal(ratesOf(stats(0, 0), { ...stats(2, 100), vmm: undefined } as VmStats), undefined);
});

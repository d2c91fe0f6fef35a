import assert from "node:assert/strict";
import { test } from "node:test";
import { createMakeCounter } from "./kernel-make-progress.ts";

test("files that are made move the bar, other lines do not", () => {
  const count = createMakeCounter();
  assert.deepEqual(count("  CC      init/main.o"), {
    step: "kernel-build",
    message: "building the kernel: init/main.o",
    fraction: 1 / 1920,
  });
  for (const line of ["  HOSTCC  scripts/basic/fixdep", "  UPD     include/config/kernel.release", "make: Nothing", ""])
    assert.equal(count(line), undefined);
});

test("the bar moves by whole percents, never back, and is not full before the kernel is linked", () => {
  const count = createMakeCounter();
  const fractions: number[] = [];
  for (let index = 0; index < 3000; index++) {
    const progress = count(`  CC      file-${index}.o`);
    if (progress?.fraction !== undefined) fractions.push(progress.fraction);
  }
  assert.ok(fractions.length >= 98 && fractions.length <= 100, `${fractions.length} reports`);
  assert.ok(fractions.every((value, index) => value >= (fractions[index - 1] ?? 0)));
  assert.equal(fractions.at(-1), 0.98);
  assert.equal(count("  LD      vmlinux")?.fraction, 0.99);
  assert.equal(count("  LD      .tmp_vmlinux.kallsyms1")?.fraction, 0.99);
  assert.equal(count("  LD      vmlinux.o")?.fraction, 0.99);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { featuresOf, parseFirecrackerVersion } from "./version.ts";

test("a version is found in what the program prints and in what its API answers", () => {
  assert.equal(
    parseFirecrackerVersion("Firecracker v1.16.1\n\nSupported snapshot data format: 9.0.0\n").text,
    "1.16.1",
  );
  assert.equal(parseFirecrackerVersion("1.17.0-dev").text, "1.17.0-dev");
  assert.deepEqual(parseFirecrackerVersion("1.13.0"), { major: 1, minor: 13, patch: 0, text: "1.13.0" });
});

test("what is too old or no version is refused, with what to do", () => {
  for (const words of ["Firecracker v1.12.9", "0.25.2", "Firecracker v1.9.1"]) {
    assert.throws(() => parseFirecrackerVersion(words), { code: "VMM_START_FAILED", message: /is too old; 1\.13 is/ });
  }
  for (const words of ["", "Firecracker", "v1.x.2", "1.16"]) {
    assert.throws(() => parseFirecrackerVersion(words), { code: "VMM_START_FAILED", message: /does not say/ });
  }
});

test("what a release can do is known by its number", () => {
  const of = (words: string) => featuresOf(parseFirecrackerVersion(words));
  const since: [string, string[]][] = [
    ["1.13.2", []],
    ["1.14.0", ["hasSerialPath", "hasPageReporting"]],
    ["1.16.0", ["hasSerialLimit", "hasVsockOverride", "hasClockRealtime"]],
    ["1.16.1", ["hasReliableVsock"]],
    ["2.0.0", []],
  ];
  const known: string[] = [];
  for (const [version, added] of since) {
    known.push(...added);
    const has = Object.entries(of(version)).filter(([, value]) => value);
    assert.deepEqual(has.map(([name]) => name).sort(), [...known].sort(), version);
  }
});

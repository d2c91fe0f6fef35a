import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { kernelConfigPath } from "../platform/package-files.ts";
import { digestKernelConfig, listUntaken, parseKernelConfig } from "./kernel-config.ts";

test("values are as .config writes them, and what is not set is n", () => {
  const config = parseKernelConfig('# head\n\nCONFIG_A=y\nCONFIG_B="x=y"\n# CONFIG_C is not set\nCONFIG_D=0x10\n');
  assert.deepEqual(
    [...config],
    [
      ["A", "y"],
      ["B", '"x=y"'],
      ["C", "n"],
      ["D", "0x10"],
    ],
  );
});

test("a line that is no setting, or a symbol that comes twice, is refused", () => {
  assert.throws(() => parseKernelConfig("CONFIG_A\n"), RangeError);
  assert.throws(() => parseKernelConfig("A=y\n"), RangeError);
  assert.throws(() => parseKernelConfig("CONFIG_A=y\nCONFIG_A=y\n"), /CONFIG_A comes twice/);
});

test("what Kconfig dropped or changed is named; what it was to leave off may be absent", () => {
  const fragment = parseKernelConfig(
    "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=64\n# CONFIG_D is not set\n# CONFIG_E is not set\n",
  );
  const config = parseKernelConfig("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=8\nCONFIG_E=y\n");
  assert.deepEqual(listUntaken(fragment, config), ["CONFIG_B=y (is n)", "CONFIG_C=64 (is 8)", "CONFIG_E=n (is y)"]);
  assert.deepEqual(listUntaken(fragment, fragment), []);
});

test("the digest is of what is set, not of comments or order", () => {
  const digest = (text: string) => digestKernelConfig(parseKernelConfig(text));
  assert.equal(digest("# why\nCONFIG_A=y\nCONFIG_B=1\n"), digest("CONFIG_B=1\n\nCONFIG_A=y\n"));
  assert.notEqual(digest("CONFIG_A=y\n"), digest("# CONFIG_A is not set\n"));
});

test("our own configuration is well formed and has no modules", () => {
  const fragment = parseKernelConfig(readFileSync(kernelConfigPath(), "utf8"));
  assert.ok(fragment.size > 200);
  assert.ok(!fragment.has("MODULES"));
  assert.deepEqual(
    [...fragment].filter(([, value]) => value === "m"),
    [],
  );
  for (const symbol of ["VIRTIO_MMIO", "SQUASHFS_ZSTD", "OVERLAY_FS", "PCI", "PVH"])
    assert.equal(fragment.get(symbol), "y");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePackage } from "./apt.ts";
import { parseDpkgStatus } from "./debian.ts";
import { DEBIAN_RECIPE, listGuestFiles } from "./debian-recipe.ts";
import { createProgressCounter } from "./mmdebstrap-progress.ts";

test("dpkg's status file yields the installed packages only", () => {
  const text = [
    "Package: bash\nStatus: install ok installed\nVersion: 5.2.15-2+b13\nDescription: shell\n more",
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1",
    "",
  ].join("\n\n");
  assert.deepEqual(parseDpkgStatus(text), { bash: "5.2.15-2+b13" });
});

test("the first stanza of apt-cache show is the package", () => {
  const stanza = "Package: p\nVersion: 1-1\nDepends: a (= 1), b\nSize: 12\nSHA256: ab";
  const text = `${stanza}\n\n${stanza.replace("1-1", "0-9")}`;
  assert.deepEqual(parsePackage(text), {
    name: "p",
    version: "1-1",
    depends: ["a (= 1)", "b"],
    sha256: "ab",
    sizeBytes: 12,
  });
  assert.equal(parsePackage("N: Unable to locate package"), undefined);
});

test("progress only grows, stays below 1 and names the package", () => {
  const count = createProgressCounter();
  assert.equal(count("Get:1 http://m.example/debian bookworm/main amd64 Packages [8790 kB]"), undefined);
  assert.equal(count("0 upgraded, 69 newly installed, 0 to remove and 0 not upgraded."), undefined);
  const first = count("Get:1 http://m.example/debian bookworm/main amd64 gcc-12-base amd64 12.2 [37.6 kB]");
  assert.equal(first?.message, "fetching gcc-12-base");
  let last = first?.fraction ?? 0;
  for (let index = 0; index < 1000; index++) {
    const progress = count(`Setting up libc6:amd64 (${index}) ...`);
    assert.equal(progress?.message, "setting up libc6");
    assert.ok((progress.fraction ?? -1) >= last && (progress.fraction ?? 2) < 1);
    last = progress.fraction ?? 0;
  }
});

test("what is pinned is pinned exactly", () => {
  for (const { version, integrity } of [DEBIAN_RECIPE.node, DEBIAN_RECIPE.npm]) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.match(integrity, /^sha512-[A-Za-z0-9+/]{86}==$/);
  }
});

test("the image holds no name, address or id of the host", () => {
  const files = new Map(listGuestFiles("").map((file) => [file.path, file.content]));
  assert.equal(files.get("etc/machine-id"), "");
  assert.equal(files.get("etc/resolv.conf"), "");
  assert.equal(files.get("etc/hostname"), "firebreak\n");
});

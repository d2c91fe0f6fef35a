import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import { checkSocketPath, createPaths, resolvePaths } from "./paths.ts";

test("a socket path may have 107 bytes and no more, counted in bytes", () => {
  assert.equal(checkSocketPath("/".padEnd(107, "x")).length, 107);
  assert.throws(() => checkSocketPath("/".padEnd(108, "x")), hasCode("SOCKET_PATH_TOO_LONG"));
  assert.throws(() => checkSocketPath(`/${"ü".repeat(54)}`), hasCode("SOCKET_PATH_TOO_LONG"));
});

test("each home has sockets of its own", () => {
  const runtimeOf = (home: string) => resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: "/r" }).runtime;
  assert.notEqual(runtimeOf("/a"), runtimeOf("/b"));
  assert.equal(runtimeOf("/a"), runtimeOf("/a/"));
});

test("state is closed to others, the runtime folder lets VMM users pass", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-paths-"));
  try {
    const paths = resolvePaths({
      FIREBREAK_HOME: path.join(folder, "home"),
      FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
    });
    createPaths(paths);
    assert.deepEqual([statSync(paths.home).mode & 0o777, statSync(paths.runtime).mode & 0o777], [0o700, 0o711]);
    writeFileSync(path.join(folder, "file"), "");
    const onFile = resolvePaths({
      FIREBREAK_HOME: path.join(folder, "file", "home"),
      FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
    });
    assert.throws(() => createPaths(onFile), hasCode("PERMISSION_DENIED"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

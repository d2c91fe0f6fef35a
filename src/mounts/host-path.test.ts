import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { resolveHostPath } from "./host-path.ts";

const base = realpathSync(mkdtempSync(path.join(os.tmpdir(), "fb-path-")));
after(() => rmSync(base, { recursive: true, force: true }));

test("a directory or a file is found by its path without links", async () => {
  mkdirSync(path.join(base, "d"));
  writeFileSync(path.join(base, "f"), "");
  symlinkSync("d", path.join(base, "link"));
  assert.equal(await resolveHostPath(path.join(base, "link"), []), path.join(base, "d"));
  assert.equal(await resolveHostPath(path.join(base, "f"), []), path.join(base, "f"));
});

test("what is not there, the system's, a home, and firebreak's own are refused", async () => {
  mkdirSync(path.join(base, "own/inner"), { recursive: true });
  symlinkSync("/", path.join(base, "root"));
  const own = [path.join(base, "own")];
  for (const wanted of ["/", "/etc", "/proc/self", "/dev/shm", "/sys", os.homedir(), path.join(base, "root"), base])
    await assert.rejects(resolveHostPath(wanted, own), { code: "MOUNT_PATH_REFUSED" }, wanted);
  for (const wanted of ["own", "own/inner"])
    await assert.rejects(resolveHostPath(path.join(base, wanted), own), { code: "MOUNT_PATH_REFUSED" }, wanted);
  await assert.rejects(resolveHostPath(path.join(base, "missing"), own), { code: "HOST_PATH_NOT_FOUND" });
});

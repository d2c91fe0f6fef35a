import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/** A hundred thousand small files of this host, live in a VM. */

const FOLDERS = 100;
const FILES = 100_000;
/** For what is done with all of them, on a busy host under emulation, ms. */
const TIMEOUT_MS = 1_800_000;
let fixture: DaemonFixture;
let host: string;
before(async () => {
  fixture = await startDaemonFixture();
  host = path.join(fixture.folder, "many");
  for (let index = 0; index < FILES; index++) {
    const folder = path.join(host, `d${index % FOLDERS}`);
    if (index < FOLDERS) mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `f${index}`), `${index}\n`);
  }
  await fixture.ok("vm", "create", "dev", "--memory", "1G", "--mount", `${host}:/many:rw`);
});
after(() => fixture?.close());

async function sh(script: string): Promise<string> {
  const command = ["vm", "exec", "dev", "--", "bash", "-euo", "pipefail", "-c", script];
  const { exitCode, stdout, stderr } = await fixture.cli(command, { timeoutMs: TIMEOUT_MS });
  assert.equal(exitCode, 0, `${script}: ${stderr}`);
  return stdout.trim();
}

test("all of them are found, and many read, moved, archived and deleted", async () => {
  assert.equal(await sh("find /many -type f | wc -l"), String(FILES));
  // About a tenth of them: under emulation each takes milliseconds, and on a busy host dozens. They are more names than one command line takes.
  const sum = `find /many/d?0 -type f -exec cat {} + | awk '{ sum += $1 } END { printf "%.0f", sum }'`;
  const isMany = (index: number) => /^[1-9]0$/.test(String(index % FOLDERS));
  const many = Array.from({ length: FILES }, (_, index) => index).filter(isMany);
  assert.equal(await sh(sum), String(many.reduce((total, index) => total + index, 0)));
  await sh("mv /many/d0 /many/moved && tar -C /many -cf /many/moved.tar moved");
  assert.equal(readdirSync(path.join(host, "moved")).length, FILES / FOLDERS);
  assert.equal(await sh("tar -tf /many/moved.tar | wc -l"), String(FILES / FOLDERS + 1));
  await sh("rm -r /many/d?0 /many/moved");
  const kept = Array.from({ length: FOLDERS }, (_, index) => index).filter((index) => index > 0 && !isMany(index));
  assert.deepEqual(readdirSync(host).sort(), [...kept.map((index) => `d${index}`), "moved.tar"].sort());
});

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/** A hundred thousand small files of this host, live in a VM. */

const FOLDERS = 100;
const FILES = 100_000;
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

const sh = async (script: string) =>
  (await fixture.ok("vm", "exec", "dev", "--", "bash", "-euc", script)).stdout.trim();

test("all of them are found, read, moved, archived and deleted", async () => {
  assert.equal(await sh("find /many -type f | wc -l"), String(FILES));
  assert.equal(await sh("cat /many/d*/f* | awk '{ sum += $1 } END { print sum }'"), String((FILES * (FILES - 1)) / 2));
  await sh("mv /many/d0 /many/moved && tar -C /many -cf /many/moved.tar moved && tar -tf /many/moved.tar | wc -l");
  assert.equal(readdirSync(path.join(host, "moved")).length, FILES / FOLDERS);
  assert.equal(await sh("tar -tf /many/moved.tar | wc -l"), String(FILES / FOLDERS + 1));
  await sh("rm -r /many/d* /many/moved");
  assert.deepEqual(readdirSync(host), ["moved.tar"]);
  assert.equal(existsSync(path.join(host, "d1")), false);
});

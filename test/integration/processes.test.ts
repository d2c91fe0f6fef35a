import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isSameProcessAlive, spawnDetached } from "../../src/platform/process.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "fb-process-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A VMM that is killed looks so for a moment: its first thread is gone, another still has its memory and its sockets. */
const HEADLESS = `
#include <pthread.h>
#include <unistd.h>
static void *stay(void *unused) { for (;;) pause(); }
int main(void) { pthread_t thread; pthread_create(&thread, 0, stay, 0); pthread_exit(0); }
`;

test("a process whose first thread has ended is there until its last has", async () => {
  const program = path.join(folder, "headless");
  execFileSync("cc", ["-pthread", "-x", "c", "-", "-o", program], { input: HEADLESS });
  const { identity } = await spawnDetached(program, [], { fds: ["ignore", "ignore", "ignore"] });
  const isHeadless = () => readFileSync(`/proc/${identity.pid}/stat`, "utf8").includes(") Z ");
  for (let tries = 0; !isHeadless(); tries++) {
    assert.ok(tries < 6_000, "the first thread does not end");
    await sleep(10);
  }
  const isThere = await isSameProcessAlive(identity);
  process.kill(identity.pid, "SIGKILL");
  assert.equal(isThere, true);
  for (let tries = 0; await isSameProcessAlive(identity); tries++) {
    assert.ok(tries < 6_000, "it does not end");
    await sleep(10);
  }
});

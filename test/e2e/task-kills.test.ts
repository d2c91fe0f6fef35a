import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { killUnderTasks } from "../support/kill-under-tasks.ts";

/** A daemon that dies under its tasks, again and again; test/slow/task-kills.test.ts has more of both. */

const HOW = { kills: 5, running: 3, queued: 3 };
let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  writeFileSync(path.join(fixture.paths.home, "firebreak.toml"), `[tasks]\nmax_running = ${HOW.running}\n`);
});
after(() => fixture.close());

test(`the daemon is killed ${HOW.kills} times with ${HOW.running} tasks running and ${HOW.queued} waiting: every task ends once, with its whole log`, async (t) => {
  t.diagnostic(await killUnderTasks(fixture, HOW));
});

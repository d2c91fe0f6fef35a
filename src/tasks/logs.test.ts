import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import { TaskLogs } from "./logs.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-logs-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("who asks for a log while it is deleted has the old one or none, and does not make it anew", async () => {
  const logs = new TaskLogs(folder);
  const write = (id: string) =>
    logs.use(id, async (log) => {
      await log.append([{ type: "finished", reason: "cancelled", tokens: [] }]);
    });
  for (let round = 0; round < 100; round++) {
    const id = `task${round}`;
    if (round % 2 === 0) await write(id);
    const outcomes = await Promise.allSettled([write(id), logs.delete(id), write(id), logs.delete(id), write(id)]);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") assert.ok(hasCode("TASK_NOT_FOUND")(outcome.reason), String(outcome.reason));
    assert.equal(outcomes[0].status, "fulfilled");
  }
  assert.deepEqual(readdirSync(folder), []);
});

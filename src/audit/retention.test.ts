import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { AUDIT_KEY, type AuditSetting, call, withAudit } from "../../test/support/audit-log.ts";
import type { AuditLogOptions } from "./log.ts";
import { entriesAfter } from "./read.ts";
import type { Retention } from "./retention.ts";
import { verify } from "./verify.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.parse("2026-01-01T00:00:00Z");

const filesOf = async ({ folder }: AuditSetting) => (await readdir(folder)).map((name) => path.join(folder, name));
async function notesOf({ folder }: AuditSetting) {
  const notes = [];
  for await (const entry of entriesAfter(folder, 0)) if ("note" in entry) notes.push(entry.note);
  return notes;
}

/** A log of one call a day, which is thinned each day as a daemon does it. */
async function writeDays(
  setting: AuditSetting,
  days: number,
  retention: Retention,
  { from = 0, ...options }: Partial<AuditLogOptions> & { from?: number } = {},
): Promise<void> {
  let nowMs = START_MS + from * DAY_MS;
  const log = await setting.open({ now: () => new Date(nowMs), retention: () => retention, ...options });
  for (let day = 0; day < days; day++, nowMs += DAY_MS) {
    log.append(call(`day_${from + day}`));
    log.write();
    await log.thin();
  }
  await log.close();
}

test("entries are removed when they are old enough, in whole files, and what is kept verifies", () =>
  withAudit(async (setting) => {
    await writeDays(setting, 60, { keepMs: 32 * DAY_MS });
    const checked = await setting.verify();
    assert.equal(checked.ok, true, JSON.stringify(checked));
    assert.ok((checked.removed ?? 0) > 0);
    const days = [];
    for await (const entry of entriesAfter(setting.folder, 0)) if (!("note" in entry)) days.push(entry.tool);
    // What has to stay is there, and nothing for longer than one file is begun for.
    const oldest = Number(days[0]?.slice("day_".length));
    assert.ok(oldest <= 60 - 32 && oldest >= 60 - 32 - 4, `${oldest}`);
    assert.equal(days.at(-1), "day_59");
    // The next daemon goes on with it.
    await writeDays(setting, 40, { keepMs: 32 * DAY_MS }, { from: 60 });
    assert.equal((await setting.verify()).ok, true);
  }));

test("entries are removed when there are too many, and the newest file stays", () =>
  withAudit(async (setting) => {
    await writeDays(setting, 200, { maxBytes: 20_000 });
    const sizes = await Promise.all((await filesOf(setting)).map(async (file) => (await readFile(file)).length));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(total <= 20_000 && total > 10_000, `${total}`);
    assert.equal((await setting.verify()).ok, true);
    await writeDays(setting, 1, { keepMs: 1 }, { from: 10_000 });
    assert.equal((await filesOf(setting)).length, 1);
    assert.equal((await setting.verify()).ok, true);
  }));

test("without a bound nothing is removed", () =>
  withAudit(async (setting) => {
    await writeDays(setting, 50, {}, { maxSegmentBytes: 1_500 });
    assert.ok((await filesOf(setting)).length > 5);
    assert.deepEqual(await setting.verify(), { ok: true, entries: 50 });
  }));

test("what somebody else removes is missing, also beside what was removed for its age", () =>
  withAudit(async (setting) => {
    await writeDays(setting, 60, { keepMs: 32 * DAY_MS });
    const files = await filesOf(setting);
    const { removed = 0 } = await setting.verify();
    const contents = await Promise.all(files.map((file) => readFile(file)));
    for (const index of [0, 1, files.length - 1]) {
      await rm(files[index] ?? "");
      const { ok, firstBad } = await setting.verify();
      assert.equal(ok, false);
      assert.match(firstBad?.why ?? "", /missing/);
      await writeFile(files[index] ?? "", contents[index] ?? "");
    }
    // All but the last file, in which a note says what was removed, and no more.
    for (const file of files.slice(0, -1)) await rm(file);
    assert.match(
      (await setting.verify()).firstBad?.why ?? "",
      new RegExp(`entries ${removed + 1} to \\d+ are missing`),
    );
  }));

test("a note is in the log before anything goes: whoever dies on the way leaves what verifies", () =>
  withAudit(async (setting) => {
    await writeDays(setting, 30, {}, { maxSegmentBytes: 1_500 });
    const files = await filesOf(setting);
    const contents = new Map(await Promise.all(files.map(async (file) => [file, await readFile(file)] as const)));
    const keepMs = 10 * DAY_MS;
    await writeDays(setting, 1, { keepMs }, { from: 30, maxSegmentBytes: 1_500 });
    const gone = files.slice(0, files.length - (await filesOf(setting)).length + 1);
    assert.ok(gone.length > 2);
    assert.deepEqual(
      (await notesOf(setting)).map(({ what, from }) => [what, from]),
      [["entries_removed", 1]],
    );
    // As if only some, or none, had been removed when the host went down.
    for (const file of gone.reverse()) {
      await writeFile(file, contents.get(file) ?? "");
      assert.equal((await setting.verify()).ok, true, file);
    }
    await writeDays(setting, 1, { keepMs }, { from: 31, maxSegmentBytes: 1_500 });
    assert.equal((await setting.verify()).ok, true);
    assert.ok((await filesOf(setting)).length < files.length);
  }));

test("what was changed stays for somebody to look at, and nothing goes that cannot be noted", () =>
  withAudit(async (setting) => {
    await writeDays(setting, 30, {}, { maxSegmentBytes: 1_500 });
    const files = await filesOf(setting);
    const [first = ""] = files;
    const whole = await readFile(first, "utf8");
    await writeFile(first, whole.replace(/day_(\d)"(?!.*day_)/s, 'day_x"'));
    await writeDays(setting, 1, { keepMs: DAY_MS }, { from: 100, maxSegmentBytes: 1_500 });
    assert.ok((await filesOf(setting)).includes(first));
    await writeFile(first, whole);
    const log = await setting.open({
      retention: () => ({ keepMs: DAY_MS }),
      open: (file) => ({
        file,
        sizeBytes: 0,
        write: () => {
          throw new Error("ENOSPC: no space left on device");
        },
        truncate: () => {},
        sync: async () => {},
        close: () => {},
      }),
    });
    assert.equal(await log.thin(), 0);
    assert.ok((await filesOf(setting)).includes(first));
    await log.close();
    assert.equal((await verify(setting.folder, { key: AUDIT_KEY })).ok, true);
  }));

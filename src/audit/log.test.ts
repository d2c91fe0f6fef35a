import assert from "node:assert/strict";
import { appendFile, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { AUDIT_KEY, call, withAudit, writeLog } from "../../test/support/audit-log.ts";
import { toKey } from "./entry.ts";
import { entriesAfter } from "./read.ts";
import { openSegment } from "./segment-file.ts";
import { verify } from "./verify.ts";

const OTHER_KEY = toKey(Buffer.alloc(32, 8));

async function entriesOf(folder: string) {
  const entries = [];
  for await (const entry of entriesAfter(folder, 0)) entries.push(entry);
  return entries;
}
const notesOf = async (folder: string) =>
  (await entriesOf(folder)).flatMap((entry) => ("note" in entry ? [entry.note] : []));

test("entries follow on each other over segments and restarts, and the head is the last one", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 20, { maxSegmentBytes: 1_500 });
    await writeLog(setting, 20, { maxSegmentBytes: 1_500 });
    const entries = await entriesOf(setting.folder);
    assert.deepEqual(
      entries.map(({ seq }) => seq),
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
    for (const [index, entry] of entries.entries())
      assert.equal(entry.prevHash, entries[index - 1]?.hash ?? "0".repeat(64));
    const files = await readdir(setting.folder);
    assert.ok(files.length >= 8, `${files.length}`);
    assert.equal(files[0], "0000000000000001.jsonl");
    assert.deepEqual(setting.head.point, { seq: 40, hash: entries.at(-1)?.hash });
    assert.deepEqual(await setting.verify(), { ok: true, entries: 40 });
  }));

test("entries are in the files and on the disk without anybody's asking", () =>
  withAudit(async (setting) => {
    const log = await setting.open({ writeMs: 1, syncMs: 5 });
    const written = new Promise<void>((resolve) => log.onWritten(resolve));
    log.append(call("a"));
    assert.equal((await entriesOf(setting.folder)).length, 0);
    await written;
    assert.equal((await entriesOf(setting.folder)).length, 1);
    while (setting.head.point === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(setting.head.point.seq, 1);
    await log.close();
    assert.equal(log.append(call("b")), undefined);
  }));

test("as many entries as one likes wait in bounded memory", () =>
  withAudit(async (setting) => {
    const log = await setting.open({ maxSegmentBytes: 4 * 1024 * 1024 });
    let most = 0;
    for (let index = 0; index < 100_000; index++) {
      assert.notEqual(log.append(call(`tool_${index}`)), undefined);
      if (index % 10_000 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    await log.close();
    assert.ok(most < 64 * 1024 * 1024, `${most}`);
    assert.equal(setting.head.point?.seq, 100_000);
  }));

test("a last line that was not written whole is cut off and noted", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 3);
    const file = path.join(setting.folder, "0000000000000001.jsonl");
    await appendFile(file, '{"at":"2026');
    assert.match((await setting.verify()).firstBad?.why ?? "", /not whole/);
    await writeLog(setting, 1);
    assert.deepEqual(await notesOf(setting.folder), [{ what: "torn_line", bytes: 11 }]);
    assert.deepEqual(await setting.verify(), { ok: true, entries: 5 });
  }));

test("a last entry that lacks its line break only is kept", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 3);
    const file = path.join(setting.folder, "0000000000000001.jsonl");
    await truncate(file, (await readFile(file)).length - 1);
    await writeLog(setting, 1);
    assert.deepEqual(await notesOf(setting.folder), []);
    assert.deepEqual(await setting.verify(), { ok: true, entries: 4 });
  }));

test("a log that ends before its head goes on after that, and the gap stays to be found", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 5);
    const file = path.join(setting.folder, "0000000000000001.jsonl");
    const lines = (await readFile(file, "utf8")).split("\n");
    await writeFile(file, `${lines.slice(0, 2).join("\n")}\n`);
    await writeLog(setting, 1);
    assert.deepEqual(await notesOf(setting.folder), [{ what: "entries_missing", from: 3, to: 5 }]);
    const bad = { file: "0000000000000006.jsonl", line: 1, why: "entries 3 to 5 are missing" };
    assert.deepEqual(await setting.verify(), { ok: false, entries: 2, firstBad: bad });
    // Also by the next daemon, which finds an end in order.
    await writeLog(setting, 1);
    assert.equal((await setting.verify()).ok, false);
  }));

test("a log whose files are gone is not begun anew as if nothing had been", () =>
  withAudit(async (setting) => {
    setting.head.set({ seq: 9, hash: "ab".repeat(32) });
    assert.match((await setting.verify()).firstBad?.why ?? "", /entries 1 to 9 are missing/);
    await writeLog(setting, 1);
    assert.deepEqual(
      (await entriesOf(setting.folder)).map(({ seq }) => seq),
      [10, 11],
    );
    assert.match((await setting.verify()).firstBad?.why ?? "", /entries 1 to 9 are missing/);
  }));

test("with another key, or an end that is not as it was, the log goes on and says so", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 3);
    await writeLog(setting, 1, { key: OTHER_KEY });
    assert.deepEqual(await notesOf(setting.folder), [{ what: "end_not_verified" }]);
    const checked = await verify(setting.folder, { key: OTHER_KEY, head: setting.head.point });
    assert.match(checked.firstBad?.why ?? "", /another key/);
    assert.equal((await verify(setting.folder, { key: AUDIT_KEY })).entries, 3);
  }));

/** A disk that is full for as long as it is told to be, and takes half of a write then. */
function createDisk() {
  const disk = { isFull: false, refused: 0 };
  const open: typeof openSegment = (file) => {
    const real = openSegment(file);
    return {
      file,
      get sizeBytes() {
        return real.sizeBytes;
      },
      write: (bytes) => {
        if (!disk.isFull) return real.write(bytes);
        disk.refused++;
        const { sizeBytes } = real;
        // The bytes are there, and do not count.
        const half = openSegment(file);
        half.write(bytes.subarray(0, bytes.length / 2));
        half.close();
        assert.equal(real.sizeBytes, sizeBytes);
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      },
      truncate: (size) => real.truncate(size),
      sync: () => real.sync(),
      close: () => real.close(),
    };
  };
  return { disk, open };
}

test("entries wait for a disk that is full, and are written when it is not", () =>
  withAudit(async (setting) => {
    const { disk, open } = createDisk();
    const states: (string | undefined)[] = [];
    const log = await setting.open({ open, onState: (failure) => states.push(failure?.message) });
    let told = 0;
    log.onWritten(() => told++);
    log.append(call("a"));
    log.write();
    disk.isFull = true;
    for (const tool of ["b", "c"]) log.append(call(tool));
    log.write();
    log.write();
    assert.match(log.failure?.message ?? "", /ENOSPC/);
    assert.equal(disk.refused, 2);
    assert.equal(told, 1);
    disk.isFull = false;
    log.append(call("d"));
    log.write();
    assert.equal(log.failure, undefined);
    assert.deepEqual(states, ["ENOSPC: no space left on device, write", undefined]);
    await log.close();
    assert.deepEqual(await setting.verify(), { ok: true, entries: 4 });
  }));

test("what a full disk makes wait is bounded, and what is lost is counted in the log", () =>
  withAudit(async (setting) => {
    const { disk, open } = createDisk();
    const log = await setting.open({ open });
    disk.isFull = true;
    let lost = 0;
    for (let index = 0; index < 10_000; index++) if (log.append(call(`t${index}`)) === undefined) lost++;
    assert.ok(lost > 5_000, `${lost}`);
    disk.isFull = false;
    await log.flush();
    log.append(call("after"));
    await log.close();
    const entries = await entriesOf(setting.folder);
    assert.deepEqual(await notesOf(setting.folder), [{ what: "entries_lost", count: lost }]);
    assert.equal(entries.length, 10_000 - lost + 2);
    assert.deepEqual(await setting.verify(), { ok: true, entries: entries.length });
  }));

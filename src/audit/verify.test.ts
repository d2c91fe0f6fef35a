import assert from "node:assert/strict";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { AUDIT_KEY, type AuditSetting, withAudit, writeLog } from "../../test/support/audit-log.ts";
import { chain, toKey } from "./entry.ts";
import { verify } from "./verify.ts";

const FIRST = "0000000000000001.jsonl";

async function withLines(
  work: (
    setting: AuditSetting,
    lines: string[],
    check: (lines: string[]) => Promise<string | undefined>,
  ) => Promise<void>,
) {
  await withAudit(async (setting) => {
    await writeLog(setting, 6);
    const file = path.join(setting.folder, FIRST);
    const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
    await work(setting, lines, async (changed) => {
      await writeFile(file, changed.map((line) => `${line}\n`).join(""));
      const { ok, firstBad } = await setting.verify();
      assert.equal(ok, firstBad === undefined);
      return firstBad && `${firstBad.line}: ${firstBad.why}`;
    });
  });
}

test("each bit of each byte that is turned over is found", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 2);
    const file = path.join(setting.folder, FIRST);
    const bytes = await readFile(file);
    for (let at = 0; at < bytes.length; at++) {
      const bit = 1 << (at % 8);
      for (const flip of [bit, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        await writeFile(file, changed);
        assert.equal((await setting.verify()).ok, false, `byte ${at} ^ ${flip}`);
      }
    }
    await writeFile(file, bytes);
    assert.deepEqual(await setting.verify(), { ok: true, entries: 2 });
  }));

test("entries that are removed, moved, doubled or put in are found where they are", () =>
  withLines(async (_setting, lines, check) => {
    const [a = "", b = "", c = "", ...rest] = lines;
    assert.equal(await check(lines), undefined);
    assert.match((await check([b, c, ...rest])) ?? "", /^1: entry 1 is missing/);
    assert.match((await check([a, ...rest])) ?? "", /^2: entries 2 to 3 are missing/);
    assert.match((await check([a, c, b, ...rest])) ?? "", /^2: entry 2 is missing/);
    assert.match((await check([a, b, b, c, ...rest])) ?? "", /^3: entry 2 is out of its order/);
    assert.match((await check(lines.slice(0, -1))) ?? "", /^6: entry 6 is missing/);
    assert.match((await check(lines.slice(0, 2))) ?? "", /^3: entries 3 to 6 are missing/);
    assert.match((await check([])) ?? "", /entries 1 to 6 are missing/);
    assert.match((await check([a, "", b, c, ...rest])) ?? "", /^2: the entry is not as it was written/);
    assert.match((await check([a, ` ${b}`, c, ...rest])) ?? "", /^2: the entry is not as it was written/);
    assert.match((await check([a, "[".repeat(100_000), b])) ?? "", /^2: /);
    assert.match((await check([a, "x".repeat(10_000_000), b])) ?? "", /^2: the line is not whole/);
  }));

test("an entry of the same number that was put in its place is found, even with the key, by the head", () =>
  withLines(async (_setting, lines, check) => {
    const last = JSON.parse(lines.at(-1) ?? "");
    const { seq: _seq, at: _at, prevHash, hash: _hash, ...content } = last;
    const before = { seq: 5, hash: prevHash };
    const forged = chain(AUDIT_KEY, before, last.at, { ...content, verdict: "denied" }).line.trimEnd();
    assert.match((await check([...lines.slice(0, -1), forged])) ?? "", /^6: the entry is not the one that there was/);
    const stranger = chain(toKey(Buffer.alloc(32)), before, last.at, content).line.trimEnd();
    assert.match((await check([...lines.slice(0, -1), stranger])) ?? "", /^6: the entry is not as it was written/);
    const detached = chain(AUDIT_KEY, { ...before, hash: "0".repeat(64) }, last.at, content).line.trimEnd();
    assert.match((await check([...lines.slice(0, -1), detached])) ?? "", /^6: entry 6 does not follow on/);
  }));

test("segments that are gone, renamed or swapped are found", () =>
  withAudit(async (setting) => {
    const fill = async () => {
      await rm(setting.folder, { recursive: true, force: true });
      setting.head.point = undefined;
      await writeLog(setting, 12, { maxSegmentBytes: 1_500 });
      return (await readdir(setting.folder)).map((name) => path.join(setting.folder, name));
    };
    const why = async () => (await setting.verify()).firstBad?.why ?? "";
    for (const index of [0, 1, -1]) {
      const files = await fill();
      await rm(files.at(index) ?? "");
      assert.match(await why(), /are missing/, `${index}`);
    }
    const [first = "", second = ""] = await fill();
    await rename(first, `${first}.x`);
    await rename(second, first);
    await rename(`${first}.x`, second);
    assert.match(await why(), /missing/);
    const [, renamed = ""] = await fill();
    await rename(renamed, path.join(setting.folder, "0000000000000900.jsonl"));
    assert.match(await why(), /missing/);
  }));

test("what has been written since the head was kept is no fault, nor is what comes while it is read", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 4);
    const after = setting.head.point;
    await writeLog(setting, 4);
    assert.deepEqual(await verify(setting.folder, { key: AUDIT_KEY, head: after }), { ok: true, entries: 8 });
    const file = path.join(setting.folder, FIRST);
    const bytes = await readFile(file);
    await writeFile(file, Buffer.concat([bytes, Buffer.from("half of a li")]));
    const checked = await verify(setting.folder, { key: AUDIT_KEY, head: after, end: { file, bytes: bytes.length } });
    assert.deepEqual(checked, { ok: true, entries: 8 });
  }));

test("there is nothing to say against a log that never was", () =>
  withAudit(async (setting) => {
    assert.deepEqual(await setting.verify(), { ok: true, entries: 0 });
  }));

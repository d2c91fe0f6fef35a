import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { call, withAudit, writeLog } from "../../test/support/audit-log.ts";
import { exportEntries } from "./export.ts";
import { findLine, readLines, readLinesBackwards } from "./lines.ts";
import { scan } from "./read.ts";

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

test("lines come out as they went in, from either end, and are found by halving", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-lines-"));
  const file = path.join(folder, "lines");
  try {
    const widths = fc.array(fc.oneof(fc.nat(50), fc.constantFrom(65_534, 65_535, 65_536, 70_000, 131_000)), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(widths, fc.nat(12), fc.boolean(), async (sizes, wanted, isTorn) => {
        const lines = sizes.map((size, index) => `${String(index).padStart(3, "0")}${"x".repeat(size)}`);
        await writeFile(file, lines.map((line) => `${line}\n`).join("") + (isTorn ? "torn" : ""));
        const forward = await collect(readLines(file));
        assert.deepEqual(
          forward.filter(({ isWhole }) => isWhole).map(({ bytes }) => bytes.toString()),
          lines,
        );
        assert.equal(forward.filter(({ isWhole }) => !isWhole).length, isTorn ? 1 : 0);
        const backward = (await collect(readLinesBackwards(file))).map(String);
        assert.deepEqual(backward.reverse(), lines);
        const start = await findLine(file, (line) => Number(line.subarray(0, 3).toString()) < wanted);
        const rest = (await collect(readLines(file, start)))
          .filter(({ isWhole }) => isWhole)
          .map(({ bytes }) => bytes.toString());
        assert.deepEqual(rest, lines.slice(lines.length - rest.length));
        assert.deepEqual(
          rest.filter((line) => Number(line.slice(0, 3)) >= wanted),
          lines.slice(wanted),
        );
      }),
      { numRuns: 60 },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("pages are read from either end over all segments", () =>
  withAudit(async (setting) => {
    await writeLog(setting, 50, { maxSegmentBytes: 2_000 });
    const seqs = async (after: number | undefined, limit: number) => {
      const { entries, more } = await scan(setting.folder, {}, { after, limit });
      return [entries.map(({ seq }) => seq), more];
    };
    assert.deepEqual(await seqs(undefined, 3), [[48, 49, 50], false]);
    assert.deepEqual(await seqs(0, 2), [[1, 2], true]);
    assert.deepEqual(await seqs(23, 3), [[24, 25, 26], true]);
    assert.deepEqual(await seqs(48, 3), [[49, 50], false]);
    assert.deepEqual(await seqs(50, 3), [[], false]);
    assert.deepEqual(await seqs(5_000, 3), [[], false]);
    assert.deepEqual(await scan(path.join(setting.folder, "none"), {}, { limit: 3 }), {
      entries: [],
      more: false,
      lastSeq: 0,
    });
  }));

test("what is asked for is found, and what is no entry is left out", () =>
  withAudit(async (setting) => {
    let hour = 0;
    const log = await setting.open({ now: () => new Date(Date.UTC(2026, 0, 1, hour++)) });
    log.append(call("a", { server: "git", verdict: "denied" }));
    log.append(call("b", { client: { principal: "ci", name: "codex" } }));
    log.append(call("c"));
    await log.close();
    await writeFile(path.join(setting.folder, "0000000000000004.jsonl"), "nothing\n{}\n");
    const find = async (filter: Parameters<typeof scan>[1]) => {
      const both = await Promise.all([undefined, 0].map((after) => scan(setting.folder, filter, { after, limit: 10 })));
      assert.deepEqual(both[0]?.entries, both[1]?.entries);
      return both[0]?.entries.map((entry) => ("note" in entry ? "note" : entry.tool));
    };
    assert.deepEqual(await find({ server: "git" }), ["a"]);
    assert.deepEqual(await find({ verdict: "ok" }), ["b", "c"]);
    assert.deepEqual(await find({ client: "ci" }), ["b"]);
    assert.deepEqual(await find({ client: "claude-code" }), ["a", "c"]);
    assert.deepEqual(await find({ since: "2026-01-01T01:00:00.000Z" }), ["b", "c"]);
    assert.deepEqual(await find({ since: "2027-01-01T01:00:00.000Z" }), []);
  }));

test("exports have all entries, as lines or as a table that no spreadsheet calculates with", () =>
  withAudit(async (setting) => {
    const log = await setting.open({ now: () => new Date(0) });
    log.append(call("=cmd|' /C calc'!A0", { arguments: { text: 'a "quoted", one\nand' }, code: "X" }));
    log.append(call("b", { server: "git" }));
    await log.close();
    const lines = (await collect(exportEntries(setting.folder, {}, "jsonl"))).map((line) => JSON.parse(line).tool);
    assert.deepEqual(lines, ["=cmd|' /C calc'!A0", "b"]);
    const [header, first, ...rest] = await collect(exportEntries(setting.folder, {}, "csv"));
    assert.match(header ?? "", /^seq,at,principal,.*,hash\r\n$/);
    assert.match(
      first ?? "",
      /^1,1970-01-01T00:00:00\.000Z,local,claude-code,2\.1,files,'=cmd\|' \/C calc'!A0,,,12,340,5\.5,ok,X,,"\{""text"":""a \\""quoted\\"", one\\nand""\}",[0-9a-f]{64}\r\n$/,
    );
    assert.equal(rest.length, 1);
    assert.equal((await collect(exportEntries(setting.folder, { server: "git" }, "csv"))).length, 2);
  }));

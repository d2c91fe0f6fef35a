import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import type { TaskEvent, TaskEventBody } from "../../contract/task-event.ts";
import { TaskLog } from "./task-log.ts";

let folder: string;
let count = 0;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-task-log-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));
const freshPlace = () => path.join(folder, `${++count}`, "events.jsonl");

const line = (text: string): TaskEventBody => ({ type: "output", stream: "stdout", text });

async function seqs(pieces: AsyncIterable<Buffer>, upTo = Number.POSITIVE_INFINITY): Promise<number[]> {
  const found: number[] = [];
  for await (const piece of pieces) {
    for (const text of piece.toString().trimEnd().split("\n")) found.push((JSON.parse(text) as TaskEvent).seq);
    if (found.length >= upTo) break;
  }
  return found;
}
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test("events are numbered, and read from any number on, also by another daemon", async () => {
  const place = freshPlace();
  const log = await TaskLog.open(place);
  for (let n = 0; n < 50; n++)
    await log.append(range(1, 40).map((i) => line(`${n}.${i} ${"x".repeat((n * i) % 300)}`)));
  for (const from of [1, 2, 512, 513, 514, 1025, 1999, 2000, 2001])
    assert.deepEqual(await seqs(log.read(from)), range(from, 2000));
  await log.close();
  const again = await TaskLog.open(place);
  assert.equal(again.lastSeq, 2000);
  for (const from of [1777, 3, 1026]) assert.deepEqual(await seqs(again.read(from)), range(from, 2000));
  await again.append([line("more")]);
  assert.deepEqual(await seqs(again.read(2000)), [2000, 2001]);
  await again.close();
});

test("who follows gets history, then what comes, and ends with the log", async () => {
  const log = await TaskLog.open(freshPlace());
  await log.append([line("a"), line("b")]);
  const followers = [1, 2, 3].map((from) => seqs(log.read(from, { follow: true })));
  for (let n = 0; n < 100; n++) await log.append([line(`${n}`)]);
  log.end();
  assert.deepEqual(await Promise.all(followers), [range(1, 102), range(2, 102), range(3, 102)]);
  await log.close();
});

test("a line that is longer than what is read at once is one event", async () => {
  const place = freshPlace();
  const log = await TaskLog.open(place);
  await log.append([line("a"), line("y".repeat(3_000_000)), line("z".repeat(700_000)), line("b")]);
  await log.close();
  const again = await TaskLog.open(place);
  assert.equal(again.lastSeq, 4);
  assert.deepEqual(await seqs(again.read(3)), [3, 4]);
  assert.deepEqual(await seqs(again.read(4)), [4]);
  assert.deepEqual(await seqs(again.read(1)), [1, 2, 3, 4]);
  await again.close();
});

test("all who are at a line of megabytes have the same bytes of it", async () => {
  const log = await TaskLog.open(freshPlace());
  await log.append([line("y".repeat(3_000_000)), line("b")]);
  const first = async () => (await log.read(1).next()).value as Buffer;
  const [one, ...others] = await Promise.all([first(), first(), first()]);
  for (const other of others) assert.equal(other.buffer, one?.buffer);
  assert.ok((one?.length ?? 0) > 3_000_000);
  await log.close();
});

test("half a write is cut off, and its output comes again", async () => {
  const place = freshPlace();
  const log = await TaskLog.open(place);
  await log.append([line("a")], { offset: 10, stdout: 0, stderr: 0 });
  const whole = readFileSync(place).length;
  await log.append([line("b"), line("c"), line("d")], { offset: 20, stdout: 0, stderr: 0 });
  await log.close();
  for (const cut of [1, 40, 130]) truncateSync(place, readFileSync(place).length - cut);
  const again = await TaskLog.open(place);
  assert.equal(again.lastSeq, 1);
  assert.deepEqual(again.position, { offset: 10, stdout: 0, stderr: 0 });
  assert.equal(readFileSync(place).length, whole);
  await again.append([line("b")], { offset: 15, stdout: 1, stderr: 2 });
  assert.deepEqual(await seqs(again.read(1)), [1, 2]);
  await again.close();
  appendFileSync(place, Buffer.alloc(300_000));
  const third = await TaskLog.open(place);
  assert.deepEqual([third.lastSeq, third.position], [2, { offset: 15, stdout: 1, stderr: 2 }]);
  await third.close();
});

test("an end that is JSON and no event is cut off like half a write", async () => {
  const ends = [
    { seq: "a", position: { offset: 1, stdout: 0, stderr: 0 } },
    { seq: 2, position: "x" },
    { seq: 2, position: { offset: 1e300, stdout: 0, stderr: 0 } },
    { seq: 2, position: { offset: 1, stdout: -5, stderr: 0 } },
    { seq: 1e300, position: { offset: 1, stdout: 0, stderr: 0 } },
    null,
  ];
  for (const end of ends) {
    const place = freshPlace();
    const log = await TaskLog.open(place);
    await log.append([line("a")], { offset: 10, stdout: 0, stderr: 0 });
    await log.close();
    appendFileSync(place, `${JSON.stringify(end)}\n`);
    const again = await TaskLog.open(place);
    assert.deepEqual([again.lastSeq, again.position.offset], [1, 10], JSON.stringify(end));
    await again.append([line("b")]);
    assert.deepEqual(await seqs(again.read(1)), [1, 2]);
    await again.close();
  }
});

test("a log that has fewer lines than its last one says is read to its end", { timeout: 20_000 }, async () => {
  const place = freshPlace();
  const log = await TaskLog.open(place);
  for (const text of ["a", "b", "c"]) await log.append([line(text)]);
  await log.close();
  const bytes = readFileSync(place);
  bytes[bytes.indexOf(10)] = 32;
  writeFileSync(place, bytes);
  const again = await TaskLog.open(place);
  assert.equal(again.lastSeq, 3);
  for (const from of [2, 3]) for await (const piece of again.read(from)) assert.ok(piece.length > 0);
  truncateSync(place, 10);
  for (const follow of [false, true]) assert.deepEqual(await seqs(again.read(1, { follow })), []);
  await again.close();
});

test("who is too slow is told what was left out, and can fetch it", async () => {
  const log = await TaskLog.open(freshPlace());
  const skipped: [number, number][] = [];
  const read = log.read(1, { follow: true, maxBehind: 50_000, onSkip: (from, to) => skipped.push([from, to]) });
  await log.append([line("first")]);
  const first = await read.next();
  assert.match(String(first.value), /"first"/);
  for (let n = 0; n < 5_000; n++) await log.append([line(`${n}`)]);
  log.end();
  const rest = await seqs(read);
  assert.equal(skipped.length, 1);
  const [from, to] = skipped[0] as [number, number];
  assert.equal(from, 2);
  assert.deepEqual(rest, range(to + 1, 5_001));
  assert.deepEqual((await seqs(log.read(from))).slice(0, to - from + 1), range(from, to));
  await log.close();
});

test("one who goes away in the midst leaves nothing waiting", async () => {
  const log = await TaskLog.open(freshPlace());
  const gone = new AbortController();
  const following = seqs(log.read(1, { follow: true, signal: gone.signal }));
  await log.append([line("a")]);
  gone.abort();
  assert.ok((await following).length <= 1);
  await log.close();
});

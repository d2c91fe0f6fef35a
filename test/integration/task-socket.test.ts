import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { TaskSockets } from "../../src/daemon/api/task-socket.ts";
import { refuseUpgrade } from "../../src/daemon/api/upgrade.ts";
import { FirebreakError, toFirebreakError } from "../../src/errors/firebreak-error.ts";
import { TaskLog } from "../../src/tasks/log/task-log.ts";
import { openTaskSocket } from "../support/task-socket.ts";
import { waitFor } from "../support/wait-for.ts";

/** Events over WebSocket, of a real log; the daemon's way there is test/e2e/task.test.ts. */

const MIB = 1024 * 1024;
let folder: string;
let server: http.Server;
let log: TaskLog;
let sockets: TaskSockets;
let address: string;
let readers = 0;
let tests = 0;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "fb-task-socket-"));
  const get = (id: string) => {
    if (id !== "t 1") throw new FirebreakError("TASK_NOT_FOUND", `there is no task '${id}'`);
    return { id } as ReturnType<ConstructorParameters<typeof TaskSockets>[0]["get"]>;
  };
  const useLog = async <T>(_id: string, work: (log: TaskLog) => Promise<T>) => {
    readers++;
    return work(log).finally(() => readers--);
  };
  sockets = new TaskSockets({ get, useLog }, 100);
  server = http.createServer();
  server.on("upgrade", (incoming, socket, head) => {
    try {
      sockets.accept(incoming, socket, head);
    } catch (error) {
      refuseUpgrade(socket, toFirebreakError(error));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/tasks/t%201/events`;
});
beforeEach(async () => {
  log = await TaskLog.open(path.join(folder, `${tests++}`, "events.jsonl"));
});
afterEach(async () => {
  await waitFor(() => readers === 0);
  await log.close();
});
after(async () => {
  sockets.close();
  server.close();
  await once(server, "close");
  await rm(folder, { recursive: true, force: true });
});

const output = (text: string) => ({ type: "output", stream: "stdout", text }) as const;
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

test("history comes first, then what happens, from any number on; it closes when the task has ended", async () => {
  await log.append([output("1"), output("2"), output("3")]);
  const all = await openTaskSocket(address);
  const late = await openTaskSocket(`${address}?from=3`);
  await waitFor(() => all.events.length === 3 && late.events.length === 1);
  for (let count = 4; count <= 200; count++) await log.append([output(String(count))]);
  log.end();
  assert.deepEqual([await all.closed(), await late.closed()], [1000, 1000]);
  assert.deepEqual(all.seqs, upTo(200));
  assert.deepEqual(late.seqs, upTo(200, 3));
  assert.ok(all.events.every((event) => event.type === "output" && event.text === String(event.seq)));
  // One whose connection broke goes on behind what it has.
  const again = await openTaskSocket(`${address}?from=201`);
  assert.equal(await again.closed(), 1000);
  assert.deepEqual(again.messages, []);
});

test("who does not follow has what there is", async () => {
  await log.append([output("1")]);
  const socket = await openTaskSocket(`${address}?follow=false`);
  assert.equal(await socket.closed(), 1000);
  assert.deepEqual(socket.seqs, [1]);
});

test("one that stops reading holds up nobody, and is told what it has skipped, which it can fetch", async () => {
  const slow = await openTaskSocket(`${address}?skip=true`);
  const patient = await openTaskSocket(address);
  const quick = await openTaskSocket(address);
  slow.webSocket.pause();
  patient.webSocket.pause();
  for (let count = 1; count <= 40; count++) await log.append([output(`${count} ${"x".repeat(MIB / 2)}`)]);
  await waitFor(() => quick.events.length === 40);
  log.end();
  slow.webSocket.resume();
  patient.webSocket.resume();
  await Promise.all([slow.closed(), patient.closed(), quick.closed()]);
  assert.deepEqual(patient.seqs, upTo(40));
  const gaps = slow.messages.flatMap((message) => ("skipped" in message ? [message.skipped] : []));
  assert.ok(gaps.length > 0, "it has skipped nothing");
  const missed = gaps.flatMap(({ from, to }) => upTo(to, from));
  assert.deepEqual(
    [...slow.seqs, ...missed].sort((a, b) => a - b),
    upTo(40),
  );
  const [gap] = gaps;
  const fetched = await openTaskSocket(`${address}?from=${gap?.from}`);
  await fetched.closed();
  assert.equal(fetched.seqs[0], gap?.from);
});

test("pings keep a silent connection open, and the log is let go of when its client goes", async () => {
  const socket = await openTaskSocket(address);
  await waitFor(() => socket.pings >= 3);
  assert.deepEqual([readers, socket.messages.length], [1, 0]);
  socket.webSocket.terminate();
  await waitFor(() => readers === 0);
});

test("what is refused is answered as HTTP, and who talks is hung up on", async () => {
  await assert.rejects(openTaskSocket(address.replace("t%201", "t2")), { status: 404, code: "TASK_NOT_FOUND" });
  await assert.rejects(openTaskSocket(`${address}?from=x`), { status: 400, code: "INVALID_ARGUMENT" });
  await assert.rejects(openTaskSocket(address.replace("t%201", "%ff")), { status: 400, code: "INVALID_ARGUMENT" });
  const talker = await openTaskSocket(address);
  talker.webSocket.send("hello");
  assert.equal(await talker.closed(), 1008);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { VsockPort } from "./vsock.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-vsock-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const fresh = () => path.join(folder, `v_${count++}`);
const patience = () => AbortSignal.timeout(30_000);
const lives = async () => false;

async function dial(file: string, words: string): Promise<net.Socket> {
  const socket = net.connect(file).on("error", () => {});
  await once(socket, "connect");
  socket.write(words);
  socket.resume(); // an end is heard of only by who reads
  return socket;
}

async function read(socket: net.Socket | undefined): Promise<string> {
  assert.ok(socket);
  await once(socket, "readable", { signal: patience() });
  return String(socket.read());
}

test("a guest that dialled before anybody asked is found with its first words, and one that is waited for too", async () => {
  const file = fresh();
  const port = await VsockPort.listen(file);
  const early = await dial(file, "early");
  assert.equal(await read(await port.take(patience(), lives)), "early");
  const taken = port.take(patience(), lives);
  const late = await dial(file, "late");
  assert.equal(await read(await taken), "late");
  for (const socket of [early, late]) socket.destroy();
  port.close();
});

test("of several connections that nobody took, the newest is the guest's", async () => {
  const file = fresh();
  const port = await VsockPort.listen(file);
  const first = await dial(file, "first");
  const isEnded = new Promise((resolve) => first.once("close", resolve)); // with an error, or without
  const second = await dial(file, "second");
  await isEnded;
  assert.equal(await read(await port.take(patience(), lives)), "second");
  second.destroy();
  port.close();
});

test("who listened before, and died, is replaced", async () => {
  const file = fresh();
  writeFileSync(file, "what is left of a socket");
  const port = await VsockPort.listen(file);
  const socket = await dial(file, "hello");
  assert.equal(await read(await port.take(patience(), lives)), "hello");
  socket.destroy();
  port.close();
});

test("nobody waits for a guest whose VMM has ended, or longer than wanted", async () => {
  const port = await VsockPort.listen(fresh());
  assert.equal(await port.take(patience(), async () => true), undefined);
  await assert.rejects(port.take(AbortSignal.timeout(20), lives), { code: "OPERATION_CANCELED" });
  await assert.rejects(port.take(AbortSignal.abort(), lives), { code: "OPERATION_CANCELED" });
  port.close();
});

test("a path that is too long for a socket is refused", async () => {
  const file = path.join(folder, "x".repeat(100));
  await assert.rejects(VsockPort.listen(file), { code: "SOCKET_PATH_TOO_LONG" });
  assert.equal(existsSync(file), false);
});

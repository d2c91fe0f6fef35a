import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { FRAME } from "../../src/contract/frames.ts";
import type { ErrorBody } from "../../src/errors/firebreak-error.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type ExecSocket, openExecSocket } from "../support/exec-socket.ts";
import { waitFor } from "../support/wait-for.ts";

let daemon: DaemonFixture;
let address: string;
let headers: Record<string, string>;
before(async () => {
  daemon = await startDaemonFixture();
  await daemon.client.vms.create({ name: "web" });
  const { key } = await daemon.client.keys.create({ name: "user" });
  headers = { authorization: `Bearer ${key}` };
  address = ((await daemon.client.listen({ address: "127.0.0.1:0" })).url as string).replace("http:", "ws:");
});
after(() => daemon.close());

const open = (vm = "web") => openExecSocket(`${address}/v1/vms/${vm}/exec`, { headers });
const isRunning = async (id: string) =>
  (await daemon.client.execs.list("web")).some((exec) => exec.id === id && exec.state === "running");

async function startCommand(argv: string[], more: object = {}): Promise<{ socket: ExecSocket; id: string }> {
  const socket = await open();
  socket.start({ argv, ...more });
  await waitFor(() => socket.started !== undefined || socket.error !== undefined);
  assert.equal(socket.error, undefined);
  return { socket, id: socket.started?.id as string };
}

test("a command's streams go over WebSocket, a frame a message, on TCP and on the UNIX socket", async () => {
  for (const where of [address, `ws+unix://${daemon.paths.socket}:`]) {
    const socket = await openExecSocket(`${where}/v1/vms/web/exec`, { headers });
    socket.start({ argv: ["sh", "-c", "cat; echo oops >&2; exit 3"], stdin: true });
    socket.send(FRAME.stdin, "one ");
    socket.send(FRAME.stdin, "two");
    socket.send(FRAME.stdinEof);
    await socket.closed();
    assert.equal(socket.text(FRAME.stdout), "one two");
    assert.equal(socket.text(FRAME.stderr), "oops\n");
    assert.equal(socket.exit?.exitCode, 3);
    assert.deepEqual([socket.oddMessages, socket.closeCode], [0, 1000]);
  }
});

test("large streams arrive whole, both ways at once", async () => {
  const socket = await open();
  socket.start({ argv: ["cat"], stdin: true });
  const piece = Buffer.alloc(700_000, "0123456789");
  for (let count = 0; count < 8; count++) socket.send(FRAME.stdin, piece);
  socket.send(FRAME.stdinEof);
  await socket.closed();
  const echoed = socket.text(FRAME.stdout);
  assert.ok(echoed === piece.toString("utf8").repeat(8), `${echoed.length} bytes came back`);
  assert.equal(socket.oddMessages, 0);
});

test("a terminal is one over WebSocket, too", async () => {
  const { socket, id } = await startCommand(["sh", "-c", "read line; stty size; echo got $line"], {
    stdin: true,
    tty: { cols: 80, rows: 24 },
  });
  await daemon.client.execs.resize("web", id, { cols: 132, rows: 50 });
  socket.send(FRAME.stdin, "hello\n");
  await socket.closed();
  assert.match(socket.text(FRAME.stdout), /50 132\r\n.*got hello/s);
});

test("whoever hangs up ends the command, unless it was detached", async () => {
  const attached = await startCommand(["sleep", "600"]);
  const cut = await startCommand(["sleep", "600"]);
  const detached = await startCommand(["sleep", "600"], { detach: true });
  await detached.socket.closed();
  attached.socket.webSocket.close();
  cut.socket.webSocket.terminate();
  await waitFor(async () => !(await isRunning(attached.id)) && !(await isRunning(cut.id)));
  assert.ok(await isRunning(detached.id));
  await daemon.client.execs.kill("web", detached.id, 0);
});

test("what cannot be run, and what is no SPEC, is told in the last frame", async () => {
  const missing = await open();
  missing.start({ argv: ["no-such-command"] });
  await missing.closed();
  assert.equal(missing.error?.code, "COMMAND_NOT_FOUND");
  const wrong: ((socket: ExecSocket) => void)[] = [
    (socket) => socket.send(FRAME.stdin, "x"),
    (socket) => socket.send(FRAME.spec, "{"),
    (socket) => socket.send(FRAME.spec, '{"argv":["true"],"unknown":1}'),
    (socket) => socket.webSocket.send(Buffer.from([FRAME.spec, 0xff, 0xff, 0xff, 0xff])),
  ];
  for (const [index, send] of wrong.entries()) {
    const socket = await open();
    send(socket);
    await socket.closed();
    assert.deepEqual([socket.error?.code, socket.started], ["INVALID_ARGUMENT", undefined], `case ${index}`);
  }
});

test("text, and messages that are too long, end the connection and what runs on it", async () => {
  const long = await startCommand(["sleep", "600"], { stdin: true });
  long.socket.webSocket.send(Buffer.alloc(2 * 1024 * 1024));
  await long.socket.closed();
  assert.equal(long.socket.closeCode, 1009);
  const text = await startCommand(["sleep", "600"], { stdin: true });
  text.socket.webSocket.send("hello");
  await text.socket.closed();
  assert.equal(text.socket.closeCode, 1003);
  await waitFor(async () => !(await isRunning(long.id)) && !(await isRunning(text.id)));
  const early = await open();
  early.webSocket.send('{"argv":["true"]}');
  await early.closed();
  assert.deepEqual([early.closeCode, early.started], [1003, undefined]);
});

test("upgrades that lead nowhere are refused", async () => {
  await assert.rejects(open("nobody"), { status: 404, code: "VM_NOT_FOUND" });
  await assert.rejects(openExecSocket(`${address}/v1/vms`, { headers }), { status: 404, code: "ROUTE_NOT_FOUND" });
  await assert.rejects(openExecSocket(`${address}/v1/vms/%/exec`, { headers }), { code: "INVALID_ARGUMENT" });
  const plain = await fetch(`${address.replace("ws:", "http:")}/v1/vms/web/exec`, { headers });
  assert.deepEqual(
    [plain.status, ((await plain.json()) as { error: ErrorBody }).error.code],
    [400, "INVALID_ARGUMENT"],
  );
});

test("a reader who stops reading stops the command, and the daemon's memory does not grow", async () => {
  const { socket, id } = await startCommand(["yes", "0123456789012345678901234567890123456789"]);
  socket.webSocket.pause();
  const outputBytes = async () => (await daemon.client.execs.list("web")).find((exec) => exec.id === id)?.outputBytes;
  let before = -1;
  await waitFor(async () => {
    const now = (await outputBytes()) ?? 0;
    const isStill = now === before;
    before = now;
    if (!isStill) await new Promise((resolve) => setTimeout(resolve, 500));
    return isStill;
  });
  const { rssBytes } = await daemon.client.status();
  assert.ok(rssBytes < 300 * 1024 * 1024, `${rssBytes} bytes`);
  assert.ok(before < 64 * 1024 * 1024, `${before} bytes of output`);
  socket.webSocket.terminate();
  await waitFor(async () => !(await isRunning(id)));
});

test("a console is followed as server-sent events until its VM stops", async () => {
  await daemon.client.vms.create({ name: "talks" });
  const request = http.get(`${address.replace("ws:", "http:")}/v1/vms/talks/logs?stream=sse`, { headers });
  const response = await new Promise<http.IncomingMessage>((resolve) => request.once("response", resolve));
  assert.equal(response.headers["content-type"], "text/event-stream");
  response.setEncoding("utf8");
  let events = "";
  response.on("data", (piece) => {
    events += piece;
  });
  const ended = new Promise((resolve) => response.once("end", resolve));
  const said = await daemon.cli(["vm", "exec", "talks", "--", "sh", "-c", "echo hello, console >/dev/console"]);
  assert.equal(said.exitCode, 0, said.stderr);
  await waitFor(() => events.includes("hello, console"));
  await daemon.client.vms.stop("talks", { force: true });
  await ended;
  assert.ok(events.endsWith("event: end\ndata: null\n\n"));
  const kept = await fetch(`${address.replace("ws:", "http:")}/v1/vms/talks/logs`, {
    headers: { ...headers, accept: "text/event-stream" },
  });
  const text = await kept.text();
  assert.ok(text.includes("hello, console") && text.endsWith("event: end\ndata: null\n\n"));
});

test("a daemon that is told to end does not wait for connections to close by themselves", async () => {
  const { socket, id } = await startCommand(["sleep", "600"]);
  const stopped = await daemon.cli(["daemon", "stop", "--drain", "1ms"]);
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  await socket.closed();
  assert.equal((await daemon.cli(["daemon", "start"])).exitCode, 0);
  await waitFor(async () => !(await isRunning(id)));
});

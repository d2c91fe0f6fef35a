import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:http2";
import { PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "../../test/support/has-code.ts";
import { encodeFrame, encodeJsonFrame, FRAME, FrameDecoder } from "../contract/frames.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "./client.ts";
import {
  type ExecExit,
  type ExecSpec,
  type ExecStarted,
  execExitSchema,
  execStartedSchema,
  GUEST_FEATURES,
  type PersonaliseValues,
} from "./protocol.ts";

/** What the suite needs: a client of a guest agent, and a folder in the guest that it may fill. */
export interface AgentFixture {
  client: GuestClient;
  scratch: string;
}

interface ExecResult {
  started: ExecStarted;
  exit: ExecExit | undefined;
  stdout: Buffer;
  stderr: Buffer;
  skippedBytes: number;
}

/** Runs a command to its end. */
export async function exec(client: GuestClient, spec: ExecSpec, stdin?: Buffer): Promise<ExecResult> {
  const stream = await client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, spec));
  if (stdin !== undefined) {
    stream.write(encodeFrame(FRAME.stdin, stdin));
    stream.write(encodeFrame(FRAME.stdinEof));
  }
  await client.awaitHead(stream, "/v1/exec");
  return collect(stream);
}

async function collect(stream: AsyncIterable<Buffer>): Promise<ExecResult> {
  const decoder = new FrameDecoder();
  const parts: Record<number, Buffer[]> = { [FRAME.stdout]: [], [FRAME.stderr]: [] };
  let started: ExecStarted | undefined;
  let exit: ExecExit | undefined;
  let skippedBytes = 0;
  for await (const chunk of stream) {
    for (const { type, payload } of decoder.push(chunk)) {
      if (type === FRAME.started) started = execStartedSchema.parse(JSON.parse(payload.toString()));
      else if (type === FRAME.exit) exit = execExitSchema.parse(JSON.parse(payload.toString()));
      else if (type === FRAME.skipped) skippedBytes += (JSON.parse(payload.toString()) as { bytes: number }).bytes;
      else parts[type]?.push(payload);
    }
  }
  assert.ok(started !== undefined, "an exec begins with STARTED");
  return {
    started,
    exit,
    stdout: Buffer.concat(parts[FRAME.stdout] ?? []),
    stderr: Buffer.concat(parts[FRAME.stderr] ?? []),
    skippedBytes,
  };
}

export const sh = (script: string, rest: Partial<ExecSpec> = {}): ExecSpec => ({
  argv: ["/bin/sh", "-c", script],
  ...rest,
});

async function readAll(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Programs that listen in the guest; each takes `server`, a listening socket. */
const ECHO = `
while True:
    c, _ = server.accept()
    while True:
        data = c.recv(65536)
        if not data: break
        c.sendall(data)
    c.close()`;
const GREET_THEN_COUNT = `
c, _ = server.accept()
c.sendall(b"hello")
c.shutdown(socket.SHUT_WR)
total = 0
while True:
    data = c.recv(65536)
    if not data: break
    total += len(data)
note("counted", str(total))`;
const RESET = `
c, _ = server.accept()
c.recv(1)
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()`;
const NOTE_RESET = `
c, _ = server.accept()
c.recv(100)
c.sendall(b"got it")
try:
    note("ended", "in order" if not c.recv(100) else "more")
except ConnectionResetError:
    note("ended", "reset")`;

/** Runs `script` in the guest until `work`, which gets its port, is done. */
async function withListener(
  client: GuestClient,
  scratch: string,
  script: string,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const id = `listener-${randomUUID()}`;
  const frame = `import os, socket, struct
def note(name, text):
    with open("${scratch}/" + name + ".new", "w") as file: file.write(text)
    os.rename("${scratch}/" + name + ".new", "${scratch}/" + name)
server = socket.create_server(("127.0.0.1", 0), backlog=64)
note("port-${id}", str(server.getsockname()[1]))
`;
  await client.makeDirectory(scratch, { parents: true });
  const stream = await client.openExec();
  stream.end(encodeJsonFrame(FRAME.spec, { id, argv: ["python3", "-c", frame + script] }));
  await client.awaitHead(stream, "/v1/exec");
  stream.resume();
  try {
    let port = 0;
    await waitUntil(async () => {
      port = Number(
        await client
          .readFile(`${scratch}/port-${id}`, {})
          .then(({ body }) => readAll(body))
          .catch(() => 0),
      );
      return port > 0;
    });
    await work(port);
  } finally {
    await client.execKill(id, 0);
    stream.destroy();
    await waitUntil(async () => (await client.execGet(id)).state === "exited");
    await client.execDelete(id);
  }
}

async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await condition()); await sleep(20))
    assert.ok(Date.now() < deadline, "it did not come about");
}

/** The promises of docs/guest-protocol.md, against any real agent: on this host, or in a VM. */
export function testAgentContract(name: string, openFixture: () => Promise<AgentFixture>): void {
  const contract = (what: string, work: (fixture: AgentFixture) => Promise<void>) =>
    test(`${name}: ${what}`, async () => work(await openFixture()));

  contract("says hello and its generation", async ({ client }) => {
    const hello = await client.hello();
    assert.equal(hello.generation, 1);
    assert.match(hello.agentVersion, /^\d+\.\d+/);
  });

  contract("names what it can do besides", async ({ client }) => {
    const { features } = await client.hello();
    for (const feature of Object.values(GUEST_FEATURES)) assert.ok(features.includes(feature), feature);
  });

  contract("is made a machine of its own, again and again", async ({ client }) => {
    for (const round of ["one", "two"]) {
      await client.personalise({
        hostname: `contract-${round}`,
        wallClockMs: Date.now(),
        entropyBase64: randomBytes(64).toString("base64"),
        machineId: randomBytes(16).toString("hex"),
        bootId: randomUUID(),
        env: { ROUND: round, [`SEEN_${round}`]: "yes" },
      });
    }
    const result = await exec(client, sh('echo "$ROUND $SEEN_one $SEEN_two"'));
    assert.equal(String(result.stdout), "two yes yes\n");
  });

  contract("refuses values that mean nothing, and then changes nothing", async ({ client }) => {
    const refused: Record<string, unknown>[] = [
      { bootId: "no uuid" },
      { bootId: randomUUID().toUpperCase() },
      { overlayBytes: 0 },
      { overlayBytes: -1 },
      { overlayBytes: "1" },
      { overlayBytes: 1.5 },
      { isNewMachine: "yes" },
      { entropyBase64: randomBytes(31).toString("base64") },
      { machineId: "x" },
      { hostname: "a b" },
      { wallClockMs: Number.MAX_SAFE_INTEGER },
    ];
    for (const values of refused) {
      const request = client.personalise({ ...values, env: { REFUSED: "1" } } as PersonaliseValues);
      await assert.rejects(request, hasCode("INVALID_ARGUMENT"), JSON.stringify(values));
    }
    assert.equal(String((await exec(client, sh('echo "$REFUSED"'))).stdout), "\n");
  });

  contract("keeps stdout and stderr apart and reports the exit code", async ({ client }) => {
    const result = await exec(client, sh("echo out; echo err >&2; exit 7"));
    assert.deepEqual(
      [String(result.stdout), String(result.stderr), result.exit?.exitCode, result.exit?.signal],
      ["out\n", "err\n", 7, null],
    );
  });

  contract("reports the signal that ended a command", async ({ client }) => {
    const result = await exec(client, sh("kill -KILL $$"));
    assert.deepEqual([result.exit?.exitCode, result.exit?.signal], [null, "SIGKILL"]);
  });

  contract("passes bytes through whatever they are", async ({ client }) => {
    const bytes = randomBytes(300_000);
    const result = await exec(client, { argv: ["/bin/cat"], stdin: true }, bytes);
    assert.ok(result.stdout.equals(bytes));
    assert.equal(result.exit?.stdinBytes, bytes.length);
  });

  contract("takes environment, working directory and an empty stdin", async ({ client }) => {
    const result = await exec(client, sh('printf "%s " "$A" "$PWD"; cat', { env: { A: "x y" }, cwd: "/usr" }));
    assert.equal(String(result.stdout), "x y /usr ");
  });

  contract(
    "refuses a command that does not exist, or cannot be run, or whose directory is missing",
    async ({ client }) => {
      await assert.rejects(exec(client, { argv: ["no-such-command"] }), hasCode("COMMAND_NOT_FOUND"));
      await assert.rejects(exec(client, { argv: ["/etc/passwd"] }), hasCode("COMMAND_NOT_EXECUTABLE"));
      await assert.rejects(exec(client, { argv: ["true"], user: "nobody-of-that-name" }), hasCode("USER_NOT_FOUND"));
      await assert.rejects(
        exec(client, { argv: ["true"], cwd: "/no/such" }),
        (error: unknown) => error instanceof FirebreakError,
      );
    },
  );

  contract("ends a command at its timeout with the group it started", async ({ client }) => {
    const marker = `1${Date.now() % 1_000_000}`;
    const result = await exec(client, sh(`sleep ${marker} & sleep ${marker}`, { timeoutMs: 200, killGraceMs: 200 }));
    assert.equal(result.exit?.timedOut, true);
    await sleep(300);
    const left = await exec(
      client,
      sh(`for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f 2>/dev/null | grep -x "sleep ${marker} "; done; true`),
    );
    assert.equal(String(left.stdout), "");
  });

  contract(
    "reports the exit when the process ends, though a child in the background holds stdout",
    async ({ client }) => {
      const result = await exec(client, sh("sleep 30 & echo done"));
      assert.equal(String(result.stdout), "done\n");
      assert.ok((result.exit?.durationMs ?? 99_999) < 20_000);
    },
  );

  contract("a signal reaches the group, a kill ends it", async ({ client }) => {
    const stream = await client.openExec();
    stream.write(
      encodeJsonFrame(
        FRAME.spec,
        sh('trap "echo got; exit 9" INT; echo up; while :; do sleep 0.05; done', { id: `sig-${Date.now()}` }),
      ),
    );
    await client.awaitHead(stream, "/v1/exec");
    const execs = await client.execList();
    const id = execs.at(-1)?.id ?? "";
    const done = collect(stream);
    await sleep(300);
    await client.execSignal(id, "SIGINT");
    const result = await done;
    assert.deepEqual([result.exit?.exitCode, String(result.stdout).includes("got")], [9, true]);
    await assert.rejects(client.execSignal(id, "SIGINT"), hasCode("EXEC_STATE_CONFLICT"));
  });

  contract("a command outlives its stream, keeps its output, and is attached to again", async ({ client }) => {
    const id = `bg-${Date.now()}`;
    const stream = await client.openExec();
    stream.write(encodeJsonFrame(FRAME.spec, sh("echo one; sleep 0.5; echo two; exit 4", { id })));
    await client.awaitHead(stream, "/v1/exec");
    stream.destroy();
    await sleep(100);
    const again = await client.openAttach(id, 0, true);
    await client.awaitHead(again, "/v1/execs");
    const result = await collect(again);
    assert.deepEqual([String(result.stdout), result.exit?.exitCode], ["one\ntwo\n", 4]);
    const tail = await client.openAttach(id, 4, true);
    await client.awaitHead(tail, "/v1/execs");
    assert.equal(String((await collect(tail)).stdout), "two\n");
    assert.equal((await client.execGet(id)).state, "exited");
    await client.execDelete(id);
    await assert.rejects(client.execGet(id), hasCode("EXEC_NOT_FOUND"));
  });

  contract("output that nobody reads is bounded: the oldest goes, and what went is told", async ({ client }) => {
    const id = `spool-${Date.now()}`;
    const stream = await client.openExec();
    stream.write(
      encodeJsonFrame(FRAME.spec, sh("sleep 0.3; head -c 500000 /dev/zero; echo end", { id, spoolBytes: 65_536 })),
    );
    await client.awaitHead(stream, "/v1/exec");
    stream.destroy();
    while ((await client.execGet(id)).state === "running") await sleep(50);
    const again = await client.openAttach(id, 0, true);
    await client.awaitHead(again, "/v1/execs");
    const result = await collect(again);
    assert.ok(result.stdout.length <= 65_536 && String(result.stdout).endsWith("end\n"));
    assert.equal(result.skippedBytes + result.stdout.length, 500_004);
  });

  contract(
    "a reader that pauses stalls the command, loses nothing, and stalls no other request",
    async ({ client }) => {
      const stream = await client.openExec();
      stream.write(encodeJsonFrame(FRAME.spec, sh("head -c 8000000 /dev/zero; echo end")));
      await client.awaitHead(stream, "/v1/exec");
      await sleep(500); // unread: windows and spool fill
      assert.equal((await exec(client, { argv: ["true"] })).exit?.exitCode, 0);
      const result = await collect(stream);
      assert.deepEqual([result.stdout.length, result.skippedBytes, result.exit?.exitCode], [8_000_004, 0, 0]);
    },
  );

  contract("a terminal is a terminal, of the size it was given, and resizes", async ({ client }) => {
    const id = `tty-${Date.now()}`;
    const stream = await client.openExec();
    stream.write(
      encodeJsonFrame(
        FRAME.spec,
        sh("tty; stty size; read line; stty size", { id, stdin: true, tty: { cols: 91, rows: 17 } }),
      ),
    );
    await client.awaitHead(stream, "/v1/exec");
    const done = collect(stream);
    await sleep(300);
    await client.execResize(id, { cols: 55, rows: 11 });
    stream.write(encodeFrame(FRAME.stdin, Buffer.from("x\n")));
    const output = String((await done).stdout);
    assert.match(output, /\/dev\/pts\/\d+\r\n17 91\r\n/);
    assert.match(output, /11 55\r\n/);
  });

  contract("a file comes back byte for byte, whole and by range, with its mode", async ({ client, scratch }) => {
    const path = `${scratch}/bytes ü#?.bin`;
    const bytes = randomBytes(200_000);
    const written = await client.writeFile(path, Readable.from([bytes]), { mode: "0640", parents: true });
    assert.deepEqual([written.sizeBytes, written.mode, written.type], [bytes.length, "0640", "file"]);
    const whole = await client.readFile(path, {});
    assert.ok((await readAll(whole.body)).equals(bytes));
    assert.equal(whole.stat.sizeBytes, bytes.length);
    assert.ok(
      (await readAll((await client.readFile(path, { offset: 1000, length: 50 })).body)).equals(
        bytes.subarray(1000, 1050),
      ),
    );
    assert.equal((await readAll((await client.readFile(path, { offset: 999_999 })).body)).length, 0);
  });

  contract("a write that breaks off leaves the old file and nothing beside it", async ({ client, scratch }) => {
    const folder = `${scratch}/atomic`;
    await client.writeFile(`${folder}/f`, Readable.from([Buffer.from("old")]), { parents: true });
    const body = new PassThrough();
    const upload = client.writeFile(`${folder}/f`, body, {});
    body.write(Buffer.alloc(100_000));
    setTimeout(() => body.destroy(new Error("the caller is gone")), 100);
    await assert.rejects(upload);
    await sleep(200);
    assert.equal(String(await readAll((await client.readFile(`${folder}/f`, {})).body)), "old");
    assert.deepEqual(
      (await client.list(folder, { limit: 10 })).entries.map((entry) => entry.name),
      ["f"],
    );
  });

  contract("connects to what listens in it, and each direction ends by itself", async ({ client, scratch }) => {
    await withListener(client, scratch, ECHO, async (port) => {
      const stream = await client.connect({ port });
      const sent = randomBytes(2 * 1024 * 1024);
      stream.end(sent);
      assert.ok((await readAll(stream)).equals(sent));
    });
    // What listens ends its side first and still hears what comes.
    await withListener(client, scratch, GREET_THEN_COUNT, async (port) => {
      const stream = await client.connect({ port, host: "127.0.0.1" });
      assert.equal(String(await readAll(stream)), "hello");
      stream.end(Buffer.alloc(300_000));
      const counted = async () => String(await readAll((await client.readFile(`${scratch}/counted`, {})).body));
      await waitUntil(async () => (await counted().catch(() => "")) === "300000");
    });
  });

  contract("says that nothing listens, and refuses what is no target", async ({ client, scratch }) => {
    let free = 0;
    await withListener(client, scratch, ECHO, async (port) => {
      free = port;
    });
    await assert.rejects(client.connect({ port: free }), hasCode("CONNECTION_REFUSED"));
    await assert.rejects(client.connect({ path: `${scratch}/no-socket` }), hasCode("FILE_NOT_FOUND"));
    for (const target of [{ port: 0 }, { port: 65_536 }, { port: 80, host: "localhost" }, { path: "relative" }])
      await assert.rejects(client.connect(target), hasCode("INVALID_ARGUMENT"), JSON.stringify(target));
  });

  contract("what is broken off on either side is a break on the other", async ({ client, scratch }) => {
    await withListener(client, scratch, RESET, async (port) => {
      const stream = await client.connect({ port });
      // A reset that is quicker than the connection's own answer is a connection that failed.
      stream.write("x");
      await assert.rejects(readAll(stream));
      assert.equal(stream.rstCode, constants.NGHTTP2_CONNECT_ERROR);
    });
    await withListener(client, scratch, NOTE_RESET, async (port) => {
      const stream = await client.connect({ port });
      stream.write("half of it");
      assert.equal(String((await once(stream, "data"))[0]), "got it");
      stream.destroy();
      const noted = async () => String(await readAll((await client.readFile(`${scratch}/ended`, {})).body));
      await waitUntil(async () => (await noted().catch(() => "")) === "reset");
    });
  });

  contract("a deleted file is gone, a folder with content needs more than a word", async ({ client, scratch }) => {
    await client.writeFile(`${scratch}/gone/f`, Readable.from([Buffer.from("x")]), { parents: true });
    await client.deleteFile(`${scratch}/gone/f`, false);
    await assert.rejects(client.readFile(`${scratch}/gone/f`, {}), hasCode("FILE_NOT_FOUND"));
    await assert.rejects(client.deleteFile(`${scratch}/gone/f`, false), hasCode("FILE_NOT_FOUND"));
    await client.makeDirectory(`${scratch}/gone/a/b`, { parents: true });
    await assert.rejects(client.deleteFile(`${scratch}/gone`, false), hasCode("DIRECTORY_NOT_EMPTY"));
    await client.deleteFile(`${scratch}/gone`, true);
    await assert.rejects(client.stat(`${scratch}/gone`, true), hasCode("FILE_NOT_FOUND"));
    await assert.rejects(client.deleteFile("/", true), (error: unknown) => error instanceof FirebreakError);
  });

  contract("a folder is listed in pages, in order", async ({ client, scratch }) => {
    for (const file of ["c", "a", "b"])
      await client.writeFile(`${scratch}/pages/${file}`, Readable.from([Buffer.from(file)]), { parents: true });
    const first = await client.list(`${scratch}/pages`, { limit: 2 });
    assert.deepEqual([first.entries.map((entry) => entry.name), first.more], [["a", "b"], true]);
    const second = await client.list(`${scratch}/pages`, { limit: 2, after: "b" });
    assert.deepEqual([second.entries.map((entry) => entry.name), second.more], [["c"], false]);
    await assert.rejects(client.list(`${scratch}/pages/a`, { limit: 2 }), hasCode("FILE_NOT_A_DIRECTORY"));
    await assert.rejects(client.readFile(`${scratch}/pages`, {}), hasCode("FILE_IS_A_DIRECTORY"));
  });

  contract("a move replaces only when it is told to", async ({ client, scratch }) => {
    for (const file of ["from", "to"])
      await client.writeFile(`${scratch}/move/${file}`, Readable.from([Buffer.from(file)]), { parents: true });
    await assert.rejects(
      client.move(`${scratch}/move/from`, `${scratch}/move/to`, false),
      hasCode("FILE_ALREADY_EXISTS"),
    );
    await client.move(`${scratch}/move/from`, `${scratch}/move/to`, true);
    assert.equal(String(await readAll((await client.readFile(`${scratch}/move/to`, {})).body)), "from");
  });

  contract("an archive goes out and comes in again", async ({ client, scratch }) => {
    await client.writeFile(`${scratch}/tree/sub/f`, Readable.from([Buffer.from("in the tree")]), {
      parents: true,
      mode: "0755",
    });
    const archive = await readAll(await client.readArchive(`${scratch}/tree`));
    const result = await client.writeArchive(`${scratch}/tree2`, Readable.from([archive]));
    assert.ok(result.entries >= 2);
    const copy = await client.readFile(`${scratch}/tree2/sub/f`, {});
    assert.deepEqual([String(await readAll(copy.body)), copy.stat.mode], ["in the tree", "0755"]);
  });

  contract("bytes that are no archive are refused", async ({ client, scratch }) => {
    await assert.rejects(
      client.writeArchive(`${scratch}/bad`, Readable.from([randomBytes(4096)])),
      hasCode("INVALID_ARGUMENT"),
    );
  });

  contract("tells what it uses", async ({ client }) => {
    const stats = await client.stats();
    assert.ok(stats.memory.totalBytes > 0 && stats.disk.totalBytes > 0 && stats.agentRssBytes > 0);
  });

  contract("drives are asked for by plain serials and mounted at plain places only", async ({ client }) => {
    assert.ok((await client.hello()).features.includes("drives"));
    const refused = hasCode("DRIVE_MOUNT_FAILED");
    for (const serial of ["../sda", "A", "x".repeat(37), " "]) {
      await assert.rejects(client.driveAttach(serial, {}), refused, serial);
      await assert.rejects(client.driveDetach(serial, true), refused, serial);
      await assert.rejects(client.driveGrow(serial, 1), refused, serial);
    }
    for (const place of ["/", "/proc/x", "/dev/shm", "relative", "/mnt/../etc", "/a\0b", `/${"x".repeat(5000)}`])
      await assert.rejects(client.driveAttach("d-1", { path: place }), refused, place.slice(0, 20));
    // One that is not there has been let go of.
    await client.driveDetach("d-1", false);
  });
}

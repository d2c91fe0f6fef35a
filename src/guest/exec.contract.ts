import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Contract, collect, exec, sh } from "../../test/support/guest-contract.ts";
import { hasCode } from "../../test/support/has-code.ts";
import { encodeFrame, encodeJsonFrame, FRAME } from "../contract/frames.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Commands: their streams, their ends, their terminals. */
export function testExecContract(contract: Contract): void {
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
}

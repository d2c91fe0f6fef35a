import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type McpConnection, openMcpClient } from "../support/mcp-client.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
let connection: McpConnection;
before(async () => {
  fixture = await startDaemonFixture();
  connection = await openMcpClient(fixture);
  await connection.call("vm_create", { name: "web" });
});
after(async () => {
  await connection.close();
  await fixture.close();
});

const call: McpConnection["call"] = (...parameters) => connection.call(...parameters);
const start = async (command: string, more: Record<string, unknown> = {}): Promise<string> => {
  const { data, text } = await call("run_command", { vm: "web", command, background: true, ...more });
  assert.equal(data.status, "running", text);
  return String(data.exec_id);
};
const output = (exec_id: string, more: Record<string, unknown> = {}) =>
  call("command_output", { vm: "web", exec_id, ...more });
const waitForEnd = async (exec_id: string) => {
  await waitFor(async () => (await call("command_status", { vm: "web", exec_id })).data.state !== "running");
  return (await call("command_status", { vm: "web", exec_id })).data;
};

describe("a command in the background", () => {
  test("is started at once, told of, and read from where one left off", async () => {
    const exec_id = await start(
      "echo one; echo two >&2; until [ -e /root/go ]; do sleep 0.05; done; echo three; exit 5",
    );
    await waitFor(async () => (await output(exec_id)).data.next_offset === 8);
    const first = await output(exec_id);
    assert.deepEqual([first.data.stdout, first.data.stderr, first.data.state], ["one\n", "two\n", "running"]);
    const listed = (await call("command_list", { vm: "web" })).data.commands as { exec_id: string; state: string }[];
    assert.equal(listed.find((entry) => entry.exec_id === exec_id)?.state, "running");
    await call("run_command", { vm: "web", command: "touch /root/go" });
    // Waits for what comes rather than answering that there is nothing.
    const next = await output(exec_id, { offset: 8, wait_ms: 60_000 });
    assert.equal(next.data.stdout, "three\n");
    assert.equal((await waitForEnd(exec_id)).exit_code, 5);
    const last = await output(exec_id, { offset: next.data.next_offset });
    assert.deepEqual([last.data.state, last.data.exit_code, last.data.stdout], ["exited", 5, ""]);
  });

  test("goes on, with its output, while the daemon is dead and another one comes", async () => {
    const exec_id = await start("i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.05; done");
    await waitFor(async () => (await output(exec_id)).data.stdout !== "");
    process.kill((await fixture.client.status()).pid, "SIGKILL");
    await waitFor(async () => (await fixture.cli(["daemon", "start"])).exitCode === 0);
    assert.equal((await waitForEnd(exec_id)).exit_code, 0);
    const whole = Array.from({ length: 40 }, (_, index) => `line ${index + 1}\n`).join("");
    assert.equal((await output(exec_id)).data.stdout, whole);
  });

  test("takes input, text and bytes, until its end", async () => {
    const exec_id = await start("cat", { keep_stdin: true, stdin: "begun " });
    const write = (args: Record<string, unknown>) => call("command_input", { vm: "web", exec_id, ...args });
    assert.equal((await write({ content: "typed " })).data.accepted_bytes, 6);
    assert.equal((await write({ content: "/wA=", encoding: "base64" })).data.accepted_bytes, 2);
    assert.equal((await call("command_status", { vm: "web", exec_id })).data.state, "running");
    assert.equal((await write({ content: " end", eof: true })).data.eof, true);
    assert.equal((await waitForEnd(exec_id)).exit_code, 0);
    const { data } = await output(exec_id);
    const expected = Buffer.concat([Buffer.from("begun typed "), Buffer.from([0xff, 0]), Buffer.from(" end")]);
    assert.deepEqual(Buffer.from(String(data.stdout), "base64"), expected);
    assert.equal((await write({ content: "late" })).data.code, "EXEC_STATE_CONFLICT");
  });

  test("with stdin alone reads it to its end", async () => {
    const exec_id = await start("wc -c", { stdin: "x".repeat(300_000) });
    assert.equal((await waitForEnd(exec_id)).exit_code, 0);
    assert.equal((await output(exec_id)).data.stdout, "300000\n");
  });

  test("that takes no input says so", async () => {
    const deaf = await start("sleep 7782");
    const refused = await call("command_input", { vm: "web", exec_id: deaf, content: "x" });
    assert.equal(refused.data.code, "EXEC_STATE_CONFLICT", refused.text);
    assert.match(String(refused.data.hint), /keep_stdin/);
    const busy = await start("sleep 7782", { keep_stdin: true });
    const some = await call("command_input", { vm: "web", exec_id: busy, content: "x".repeat(200_000), wait_ms: 300 });
    assert.equal(some.data.accepted_bytes, 65_536, some.text);
    for (const exec_id of [deaf, busy]) await call("command_kill", { vm: "web", exec_id });
  });

  test("is ended with its process group, or sent a signal", async () => {
    const stubborn = await start("trap '' TERM; sleep 7783 & echo ready; while :; do sleep 0.1; done");
    await waitFor(async () => (await output(stubborn)).data.stdout === "ready\n");
    await call("command_kill", { vm: "web", exec_id: stubborn, grace_ms: 200 });
    assert.equal((await waitForEnd(stubborn)).signal, "SIGKILL");
    assert.equal((await call("run_command", { vm: "web", command: "pgrep -fx 'sleep 7783'" })).data.exit_code, 1);
    const polite = await start("trap 'echo caught; exit 7' USR1; echo ready; while :; do sleep 0.05; done");
    await waitFor(async () => (await output(polite)).data.stdout === "ready\n");
    await call("command_kill", { vm: "web", exec_id: polite, signal: "SIGUSR1" });
    assert.equal((await waitForEnd(polite)).exit_code, 7);
    const again = await call("command_kill", { vm: "web", exec_id: polite, signal: "SIGUSR1" });
    assert.equal(again.isError, false, again.text);
  });

  test("that writes more than the VM keeps says how much is lost, and the rest fits together", async () => {
    const exec_id = await start("seq 1 2000000");
    const { output_bytes } = await waitForEnd(exec_id);
    const whole = `${Array.from({ length: 2_000_000 }, (_, index) => index + 1).join("\n")}\n`;
    assert.equal(output_bytes, whole.length);
    let [offset, skipped, read] = [0, 0, ""];
    for (let more = true; more; ) {
      const { data, text } = await output(exec_id, { offset, max_bytes: 1024 * 1024 });
      assert.equal(data.stdout_encoding, "text", text.slice(0, 200));
      read += String(data.stdout);
      skipped += Number(data.skipped_bytes);
      offset = Number(data.next_offset);
      more = data.more === true;
    }
    assert.ok(skipped > 0);
    assert.equal(skipped + read.length, whole.length);
    assert.ok(whole.endsWith(read));
  });
});

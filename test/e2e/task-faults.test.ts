import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

/** Agents and commands that go wrong in their VMs; the VM itself, and the daemon, are killed in task.test.ts and task-kills.test.ts. */

const MIB = 1024 * 1024;
const WAIT_MS = 300_000;
const needsRoot = process.getuid?.() === 0 ? false : "mounting needs root";
let fixture: DaemonFixture;
let small: string;
before(async () => {
  fixture = await startDaemonFixture();
  const agent = ["[agents.odd]", 'command = ["sh", "-c", "{prompt}"]', 'format = "claude"'];
  writeFileSync(path.join(fixture.paths.home, "firebreak.toml"), agent.join("\n"));
  // Logs are on a small file system, for the one test that fills it.
  small = path.join(fixture.folder, "small");
  mkdirSync(small);
  if (needsRoot !== false) return;
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=400m,mode=0700", "none", small]);
  rmSync(path.join(fixture.paths.home, "tasks"), { recursive: true, force: true });
  symlinkSync(small, path.join(fixture.paths.home, "tasks"));
});
after(async () => {
  if (needsRoot === false) execFileSync("umount", ["-l", small]);
  await fixture.close();
});

const command = (script: string) => fixture.client.tasks.create({ agent: "command", argv: ["sh", "-c", script] });
/** An agent that speaks Claude Code's lines, and does what its prompt says. */
const agent = (script: string, fields: object = {}) =>
  fixture.client.tasks.create({ agent: "odd", prompt: script, ...fields });

async function cameTo(id: string) {
  const task = await fixture.client.tasks.wait(id, WAIT_MS);
  const events: TaskEvent[] = [];
  for await (const event of fixture.client.tasks.events(id)) events.push(event as TaskEvent);
  const said = JSON.stringify([task, events.slice(0, 50)]).slice(0, 20_000);
  return { task, events, said };
}
const bytesOf = (event: TaskEvent): Buffer =>
  event.type !== "output"
    ? Buffer.alloc(0)
    : Buffer.from(event.base64 ?? event.text ?? "", event.base64 === undefined ? "utf8" : "base64");

const INIT = `echo '{"type":"system","subtype":"init","session_id":"s","model":"m","tools":[],"mcp_servers":[]}'`;
const SAYS = `echo '{"type":"assistant","message":{"id":"m1","model":"m","content":[{"type":"text","text":"I begin."}],"usage":{"input_tokens":10,"output_tokens":5}}}'`;
const RESULT = `echo '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"usage":{},"modelUsage":{}}'`;

test("an agent that crashes has failed, with its signal, and with what it had said and left", async () => {
  const { id } = await agent(`${INIT}; ${SAYS}; mkdir -p /root/output; echo part >/root/output/part; kill -SEGV $$`);
  const { task, events, said } = await cameTo(id);
  assert.deepEqual([task.state, task.finish, task.attempt], ["failed", "failed", 1], said);
  assert.match(task.reason ?? "", /SIGSEGV/, said);
  assert.ok(
    events.some((event) => event.type === "text" && event.text === "I begin."),
    said,
  );
  assert.deepEqual(
    task.files?.map((file) => file.path),
    ["part"],
    said,
  );
  assert.equal(task.usage?.tokens[0]?.input, 10, said);
});

test("an agent that hangs is ended when its time is over, its children too, whether or not it listens", async () => {
  const { id } = await agent(`trap '' TERM INT; ${INIT}; ${SAYS}; sleep 1000 & while :; do wait; done`, {
    ...{ timeoutMs: 3_000, keepVm: "always" },
  });
  const { task, events, said } = await cameTo(id);
  assert.deepEqual([task.state, task.finish], ["failed", "timeout"], said);
  assert.match(task.reason ?? "", /more than 3 s/, said);
  assert.ok(
    events.some((event) => event.type === "text"),
    said,
  );
  const vm = task.vm?.name as string;
  const left = await fixture.cli(["vm", "exec", vm, "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]);
  assert.doesNotMatch(left.stdout, /sleep 1000/);
  await fixture.ok("vm", "delete", vm);
});

test("lines that are no JSON, or not what they should be, are shown as they are; the rest is understood", async () => {
  const odd = [
    `echo 'Warning: not JSON'`,
    `echo '{"type":'`,
    `echo null`,
    `echo '[1]'`,
    `echo '{"type":{}}'`,
    `printf '\\377\\376\\n'`,
  ];
  const { id } = await agent(
    [INIT, ...odd, SAYS, `echo '{"type":"assistant","message":7}'`, RESULT, 'printf \'{"type":"res\''].join("; "),
  );
  const { task, events, said } = await cameTo(id);
  assert.deepEqual([task.state, task.answer], ["completed", "done"], said);
  const shown = events.map((event) =>
    event.type === "output" && event.stream === "stdout" ? (event.text ?? event.raw ?? event.base64) : "",
  );
  for (const line of ["Warning: not JSON", '{"type":', '{"type":"res'])
    assert.ok(
      shown.some((text) => text?.includes(line)),
      `${line}: ${said}`,
    );
  const kinds = events.map(({ type }) => type);
  assert.ok(kinds.indexOf("started") < kinds.indexOf("text") && kinds.indexOf("text") < kinds.indexOf("answer"), said);
});

test("a line of 50 MiB is kept whole, in pieces; an agent's is no event of its, and what follows is", async () => {
  const long = `head -c ${50 * MIB} /dev/zero | tr '\\0' x; echo`;
  const [plain, spoken] = await Promise.all([
    command(`${long}; echo after`),
    agent(`${INIT}; ${long}; ${SAYS}; ${RESULT}`),
  ]);
  for (const { id } of [plain, spoken]) {
    const { task, events, said } = await cameTo(id);
    assert.equal(task.state, "completed", said);
    const text = Buffer.concat(events.map(bytesOf)).toString("latin1");
    assert.equal(/x+/.exec(text)?.[0].length, 50 * MIB, said.slice(0, 500));
    if (id === plain.id) assert.ok(text.endsWith("x\nafter\n"));
    else {
      assert.ok(events.some((event) => event.type === "error" && !event.fatal && /more than/.test(event.message)));
      assert.equal(task.answer, "done");
    }
  }
});

test("characters that come in halves, with a pause between, are put together; bytes that are none are kept", async () => {
  const { id } = await command(
    "printf 'a\\342\\202'; sleep 2; printf '\\254b\\n'; printf '\\303'; sleep 2; printf '\\nend \\360\\237'",
  );
  const { task, events, said } = await cameTo(id);
  assert.equal(task.state, "completed", said);
  const expected = Buffer.concat([
    Buffer.from("a€b\n"),
    Buffer.from([0xc3]),
    Buffer.from("\nend "),
    Buffer.from([0xf0, 0x9f]),
  ]);
  assert.deepEqual(Buffer.concat(events.map(bytesOf)), expected, said);
  assert.ok(
    events.some((event) => event.type === "output" && event.text?.startsWith("€")),
    said,
  );
});

test("a full disk makes a task wait, which has every line when there is room", { skip: needsRoot }, async () => {
  const resize = (mib: number) => execFileSync("mount", ["-o", `remount,size=${mib}m`, small]);
  const usedMib = () => {
    const { blocks, bfree, bsize } = statfsSync(small);
    return Math.ceil(((blocks - bfree) * bsize) / MIB);
  };
  resize(usedMib() + 4);
  const COUNT = 400_000;
  const { id } = await command(`seq -f 'line %020.0f' 0 ${COUNT - 1}`);
  await waitFor(async () => {
    const { bavail } = statfsSync(small);
    return bavail < 32 && (await fixture.client.tasks.get(id)).state === "running";
  }, WAIT_MS);
  // It is told of, and goes on telling what there is.
  assert.equal((await fixture.client.tasks.list()).find((task) => task.id === id)?.state, "running");
  resize(usedMib() + 200);
  const { task, events, said } = await cameTo(id);
  assert.equal(task.state, "completed", said);
  const lines = Buffer.concat(events.map(bytesOf)).toString("latin1").trimEnd().split("\n");
  assert.equal(lines.length, COUNT);
  assert.ok(lines.every((line, index) => line === `line ${String(index).padStart(20, "0")}`));
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
});

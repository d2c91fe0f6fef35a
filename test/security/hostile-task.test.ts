import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Usage } from "../../src/contract/usage.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/** Tasks whose VM, or agent, is an attacker's: what they claim, say and leave. */

const WAIT_MS = 300_000;
let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  const agent = ["[agents.odd]", 'command = ["sh", "-c", "{prompt}"]', 'format = "claude"'];
  writeFileSync(path.join(fixture.paths.home, "firebreak.toml"), agent.join("\n"));
});
after(() => fixture.close());

/** An agent that says one line of Claude Code's. */
async function says(line: object) {
  const { id } = await fixture.client.tasks.create({
    agent: "odd",
    prompt: `printf '%s\\n' '${JSON.stringify(line)}'`,
  });
  return fixture.client.tasks.wait(id, WAIT_MS);
}

test("an agent's escape sequences do not reach the terminal of who looks at its task, and its tabs do", async () => {
  const result = "\u001b]0;title\u0007\u001b[31mred\nif x:\n\treturn\u009b2J\u202e";
  const { id } = await says({ type: "result", subtype: "success", result });
  const { stdout } = await fixture.ok("task", "get", id);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  assert.doesNotMatch(stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  assert.match(stdout, /red\nif x:\n\treturn/);
});

test("tasks that claim to have cost more than there is leave a usage that can be told", async () => {
  const claim = {
    type: "result",
    subtype: "success",
    total_cost_usd: 1e308,
    modelUsage: { m: { inputTokens: 1e300, outputTokens: Number.MAX_SAFE_INTEGER } },
  };
  const [task] = await Promise.all([says(claim), says(claim)]);
  assert.equal(task.state, "completed", task.reason);
  const { total } = await fixture.json<Usage>("usage");
  assert.ok(Number.isFinite(total.costUsd) && Number.isSafeInteger(total.tokens.input), JSON.stringify(total));
  assert.match((await fixture.ok("usage", "--by", "model")).stdout, /^m /m);
});

test("what cannot be read in an output directory, or is too much, costs none of the files before it", async () => {
  const leaves = async (script: string) => {
    const argv = ["sh", "-c", `mkdir -p /root/output; cd /root/output; echo kept > a; ${script}; exit 0`];
    const { id } = await fixture.client.tasks.create({ agent: "command", argv });
    const task = await fixture.client.tasks.wait(id, WAIT_MS);
    let errors = "";
    for await (const event of fixture.client.tasks.events(id))
      if ("type" in event && event.type === "error") errors += `${event.message}\n`;
    return { names: task.files?.map((file) => file.path), errors };
  };
  const name = "d".repeat(250);
  const deep = await leaves(`echo z > z; for i in $(seq 20); do mkdir ${name} && cd -P ${name}; done`);
  assert.deepEqual(deep.names, ["a", "z"], deep.errors);
  assert.match(deep.errors, /left out of the files: "d/);
  // Files of the kernel's making that open and cannot be read, or do not open for reading.
  const made = await leaves("echo z > z; mkdir p; mount --bind /proc/1/attr p");
  assert.deepEqual([made.names?.at(0), made.names?.at(-1)], ["a", "z"], made.errors);
  assert.match(made.errors, /p\/exec: .*cannot be read/);
  const all = await leaves("mkdir p; mount --bind /proc p");
  assert.ok(all.names?.includes("a"), all.errors.slice(0, 2_000));
  const huge = await leaves("truncate -s 1T b; echo z > z");
  assert.deepEqual(huge.names, ["a"]);
  assert.match(huge.errors, /of its files all but the first 1 could not be fetched: the archive holds more than/);
});

test("lines of megabytes cost the daemon no more for each of many who follow and read nothing", async () => {
  // As JSON in a log each quotation mark has two characters more than it had in its own line.
  const script = `head -c 1500000 /dev/zero | tr '\\0' Q | sed 's/Q/\\\\"/g' >/tmp/x
for i in 1 2 3; do printf '{"type":"x","a":"'; cat /tmp/x; printf '"}\\n'; done`;
  const { id } = await fixture.client.tasks.create({ agent: "odd", prompt: script });
  const task = await fixture.client.tasks.wait(id, WAIT_MS);
  assert.equal(task.state, "completed", task.reason);
  const follow = async () => {
    const target = { socketPath: fixture.paths.socket, path: `/v1/tasks/${id}/events`, agent: false as const };
    const [response] = (await once(http.get({ ...target, headers: { accept: "text/event-stream" } }), "response")) as [
      http.IncomingMessage,
    ];
    return response;
  };
  const { pid } = await fixture.client.status();
  const mibOf = () => Number(/VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  const before = mibOf();
  const followers = await Promise.all(Array.from({ length: 100 }, follow));
  // More of it than the first of them would take, had each its own.
  let most = before;
  for (let look = 0; look < 30; look++) {
    await fixture.client.tasks.get(id);
    most = Math.max(most, mibOf());
    await sleep(100);
  }
  assert.ok(most - before < 200, `${Math.round(before)} MiB have become ${Math.round(most)}`);
  for (const follower of followers.slice(1)) follower.destroy();
  const events = (await text(followers[0] as http.IncomingMessage)).split("\n\n").filter((event) => event !== "");
  const numbers = events.map((event) => {
    const [head = "", data = ""] = event.split("\ndata: ");
    const { seq } = JSON.parse(data) as { seq: number };
    assert.equal(head, `id: ${seq}`);
    return seq;
  });
  assert.deepEqual(
    numbers,
    events.map((_, index) => index + 1),
  );
  assert.ok(events.some((event) => event.length > 3_000_000));
});

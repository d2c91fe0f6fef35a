import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

/** A program that asks a model over HTTP, and says what it does as Claude Code does. */
const AGENT = `
const say = (line) => console.log(JSON.stringify(line));
say({ type: "system", subtype: "init", session_id: "s1", model: "claude-haiku-4-5", tools: [], mcp_servers: [] });
const answer = await fetch(process.env.MODEL + "/v1/messages", { method: "POST", headers: { "x-api-key": process.env.FAKE_MODEL_KEY }, body: process.argv[2] });
const { text } = await answer.json();
say({ type: "assistant", message: { id: "m1", model: "claude-haiku-4-5", content: [{ type: "text", text }], usage: { input_tokens: 1000, output_tokens: 10 } } });
say({ type: "assistant", message: { id: "m2", model: "claude-haiku-4-5", content: [{ type: "tool_use", id: "t1", name: "Bash", input: { command: "id" } }], usage: { input_tokens: 1000, output_tokens: 10 } } });
say({ type: "user", message: { content: [{ type: "tool_result", tool_use_id: "t1", content: "uid=0", is_error: false }] } });
if (process.argv[2] === "be dear") await new Promise((done) => setTimeout(done, 3600_000));
say({ type: "result", subtype: "success", is_error: false, result: "all done", num_turns: 2, total_cost_usd: 0.0123, usage: {}, modelUsage: { "claude-haiku-4-5": { inputTokens: 2000, outputTokens: 20, costUSD: 0.0123 } } });
`;
const KEY = "sk-fake-0123456789abcdef0123456789abcdef";

let fixture: DaemonFixture;
let model: http.Server;
let url: string;
const keys: string[] = [];
/** The model's answers wait for it. */
let answersAfter: Promise<void> | undefined;
before(async () => {
  model = http.createServer((request, response) => {
    keys.push(String(request.headers["x-api-key"]));
    request.resume().once("end", async () => {
      await answersAfter;
      response.end(JSON.stringify({ text: "I shall look." }));
    });
  });
  model.listen(0, "127.0.0.1");
  await once(model, "listening");
  fixture = await startDaemonFixture();
  url = `http://model.test:${(model.address() as AddressInfo).port}`;
  await writeConfig();
});
const writeConfig = (...more: string[]) =>
  writeFile(
    path.join(fixture.paths.home, "firebreak.toml"),
    [
      "[agents.fake]",
      'command = ["node", "/root/agent.mjs", "{prompt}"]',
      'format = "claude"',
      `base_url = "${url}"`,
      'secrets = ["FAKE_MODEL_KEY"]',
      `env = { MODEL = "${url}" }`,
      ...more,
    ].join("\n"),
  );
after(async () => {
  await fixture.close();
  model.close();
});

const ask = (prompt: string, fields: object = {}) =>
  fixture.client.tasks.create({
    agent: "fake",
    prompt,
    files: { "/root/agent.mjs": AGENT },
    network: { mode: "allowlist", hosts: { "model.test": "127.0.0.1" } },
    ...fields,
  });

test("an agent without the key of its model is refused before it is queued", async () => {
  await assert.rejects(ask("hello"), { code: "AGENT_SECRET_MISSING" });
  const { stderr, exitCode } = await fixture.cli(["task", "run", "--agent", "nobody", "hello"]);
  assert.match(stderr, /no agent is named 'nobody'.*AGENT_NOT_FOUND/s);
  assert.equal(exitCode, 3);
});

test("an agent's stream becomes events, tokens and a cost; its key is never in its VM, nor in what is kept", async () => {
  const set = await fixture.cli(["secret", "set", "FAKE_MODEL_KEY", "--host", "model.test"], { input: KEY });
  assert.equal(set.exitCode, 0, set.stderr);
  const { id } = await ask("hello", { labels: { team: "x" } });
  const task = await fixture.client.tasks.wait(id, 120_000);
  const events: TaskEvent[] = [];
  for await (const event of fixture.client.tasks.events(id)) events.push(event as TaskEvent);
  assert.equal(task.state, "completed", JSON.stringify([task, events]));
  assert.equal(task.answer, "all done");
  assert.deepEqual(task.usage?.cost, { usd: 0.0123, source: "reported" });
  const kinds = events.filter(({ type }) => !["state", "usage", "output"].includes(type)).map(({ type }) => type);
  assert.deepEqual(kinds, ["started", "text", "tool_call", "tool_result", "answer", "finished"]);
  assert.deepEqual(keys, [KEY]);
  const folder = path.join(fixture.paths.home, "tasks");
  for (const file of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (file.isFile())
      assert.ok(!(await readFile(path.join(file.parentPath, file.name), "utf8")).includes(KEY), file.name);
});

test("one that costs more than it may is ended, by the tokens that it tells of", async () => {
  const { id } = await ask("be dear", { maxCostUsd: 0.002 });
  const task = await fixture.client.tasks.wait(id, 120_000);
  assert.deepEqual([task.state, task.finish], ["failed", "budget"], JSON.stringify(task));
  assert.equal(task.usage?.cost?.source, "prices");
  assert.match(task.reason ?? "", /may cost 0\.0020 USD/);
});

test("a user's budget ends what works, refuses what costs, and takes commands all the same", async () => {
  // 0.0123 and 0.0021 USD are spent by now.
  const { total } = await fixture.client.tasks.usage();
  assert.ok(total.costUsd > 0.0143 && total.costUsd < 0.0145, JSON.stringify(total));
  await writeConfig("[tasks]", "max_running = 1", "budget_per_user = 0.015", 'budget_window = "1h"');
  const letGo = Promise.withResolvers<void>();
  answersAfter = letGo.promise;
  const asked = keys.length;
  const { id } = await ask("be dear");
  await waitFor(() => keys.length > asked);
  // Asked for while there was something left, and made ready meanwhile; when it is its turn there is nothing.
  const { id: late } = await ask("hello");
  await waitFor(async () => (await fixture.client.tasks.get(late)).vm !== undefined);
  letGo.resolve();
  const task = await fixture.client.tasks.wait(id, 120_000);
  assert.deepEqual([task.state, task.finish], ["failed", "budget"], JSON.stringify(task));
  const never = await fixture.client.tasks.wait(late, 120_000);
  assert.deepEqual([never.state, never.finish, never.vm], ["failed", "budget", undefined], JSON.stringify(never));
  assert.match(
    task.reason ?? "",
    /this host's own users have cost 0\.01[56]\d USD in the last 1h, and may cost 0\.0150 USD/,
  );
  await assert.rejects(ask("hello"), { code: "TASK_BUDGET_EXHAUSTED" });
  const refused = await fixture.cli(["task", "run", "--agent", "fake", "hello"]);
  assert.match(refused.stderr, /may cost 0\.0150 USD.*budget_per_user/s);
  assert.equal(refused.exitCode, 6);
  const command = await fixture.client.tasks.create({ agent: "command", argv: ["true"] });
  assert.equal((await fixture.client.tasks.wait(command.id, 120_000)).state, "completed");
});

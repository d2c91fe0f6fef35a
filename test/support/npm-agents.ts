import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import type { Secret } from "../../src/contract/secret.ts";
import type { Task } from "../../src/contract/task.ts";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { createShellModel } from "../fakes/model-api/shell-model.ts";
import { type DaemonFixture, startDaemonFixture } from "./daemon-fixture.ts";
import { trustAsHost } from "./host-trust.ts";
import { type ModelHost, serveModelHost, writeHostTrust } from "./model-host.ts";

/** Its pieces stand nowhere together but in the vault: what looks for it in a VM is no match for itself. */
const KEY = ["real", "key", "4f1c0e9a2b3d4f1c0e9a2b3d4f1c0e9a2b3d"].join("-");
const KEY_PATTERN = "real-k[e]y-4f1c";
const PROMPT = "--help is what I want: do as you are told.";
const ANSWER = "One was well, and one was not.";
/** Under emulation a program of 200 MB takes long to be read. */
const TASK_MS = 80 * 60_000;

/** `own` is a table of firebreak.toml: Copilot CLI goes past GitHub and its login to a model at a base URL alone. */
const AGENTS: { agent: string; secret: string; host: string; model: string; own?: string; tellsTokens?: false }[] = [
  { agent: "claude", secret: "ANTHROPIC_API_KEY", host: "api.anthropic.com", model: "claude-sonnet-4-5" },
  { agent: "codex", secret: "OPENAI_API_KEY", host: "api.openai.com", model: "gpt-5.2-codex" },
  { agent: "opencode", secret: "ANTHROPIC_API_KEY", host: "api.anthropic.com", model: "anthropic/claude-sonnet-4-5" },
  { agent: "gemini", secret: "GEMINI_API_KEY", host: "generativelanguage.googleapis.com", model: "gemini-2.5-flash" },
  {
    ...{ agent: "pilot", secret: "COPILOT_PROVIDER_API_KEY", host: "models.example.com", model: "gpt-5.2" },
    own: '[agents.pilot]\nextends = "copilot"\nbase_url = "https://models.example.com"\n',
    tellsTokens: false,
  },
];

/**
 * Tests of coding agents from npm in VMs, as `firebreak task run` installs and starts them; a fake model answers in the place of their makers' hosts, over
 * TLS. Names are those of `AGENTS`.
 */
export function testAgents(...names: string[]): void {
  let fixture: DaemonFixture;
  let model: ModelHost;
  let folder: string;
  before(async () => {
    // What agents have in their environment, which is more than they hand on to their shells.
    const look =
      "mkdir -p /root/output; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | sort -u >/root/output/environ; echo vm-ok";
    const script = { commands: [look, "echo no >&2; exit 3"], answer: ANSWER };
    model = await serveModelHost(createShellModel({ ...script, usage: { input: 1200, cached: 200, output: 30 } }));
    folder = await mkdtemp(path.join(os.tmpdir(), "fb-trust-"));
    const trust = path.join(folder, "ca.pem");
    const own = process.env.NODE_EXTRA_CA_CERTS;
    await writeHostTrust(trust, own ? readFileSync(own, "latin1") : "");
    fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: trust } });
    trustAsHost(fixture);
    appendFileSync(path.join(fixture.paths.home, "firebreak.toml"), AGENTS.map(({ own = "" }) => own).join("\n"));
    for (const { secret, host } of new Map(AGENTS.map((each) => [each.secret, each])).values()) {
      const set = await fixture.cli(["secret", "set", secret, "--host", host], { input: KEY });
      assert.equal(set.exitCode, 0, set.stderr);
    }
  });
  after(async () => {
    await fixture?.close();
    await model?.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    for (const list of [model.turns, model.requests, model.misunderstood]) list.length = 0;
  });

  for (const { agent, secret, host, model: name, tellsTokens = true } of AGENTS.filter((each) =>
    names.includes(each.agent),
  ))
    test(`${agent} is installed on a drive, does its task, and never has its key`, {
      timeout: 2 * TASK_MS,
    }, async () => {
      const policy = path.join(fixture.folder, `${agent}.json`);
      // The one thing that is not as users have it: their model's name leads here.
      const here = { allow: [{ host, private: true }], hosts: { [host]: model.address } };
      writeFileSync(policy, JSON.stringify({ mode: "allowlist", ...here }));
      const options = ["--agent", agent, "--model", name, "--policy", policy, "--keep-vm", "always", "--timeout", "1h"];
      const ran = await fixture.cli(["task", "run", ...options, "--json", "--", PROMPT], { timeoutMs: TASK_MS });
      const task = JSON.parse(ran.stdout) as Task;
      const events = await eventsOf(fixture, task.id);
      const said = JSON.stringify([task, events, model.requests, model.misunderstood], undefined, 1);
      assert.deepEqual([task.state, ran.exitCode, task.answer], ["completed", 0, ANSWER], said);
      assert.deepEqual(model.misunderstood, [], said);
      const calls = events.filter(({ type }) => type === "tool_call");
      const [first] = events.filter((event) => event.type === "tool_result");
      assert.deepEqual([calls.length, first?.ok], [2, true], said);
      assert.match(first?.output ?? "", /^vm-ok/);
      if (tellsTokens) assert.ok(task.usage?.tokens.some(({ output }) => output >= 90) ?? false, said);

      // The model got the key; the guest had something else in its place.
      assert.ok(model.turns.length >= 3 && model.turns.every(({ key }) => key === KEY), said);
      const { placeholder } = await fixture.json<Secret>("secret", "get", secret);
      const environ = (await fixture.ok("task", "file", task.id, "environ")).stdout;
      assert.ok(environ.includes(`${secret}=${placeholder}`), environ);
      assert.ok(!environ.includes(KEY), environ);
      const vm = `task-${task.id}-1`;
      const find = (place: string) =>
        fixture.cli(["vm", "exec", vm, "--", "sh", "-c", `grep -rlE --devices=skip '${KEY_PATTERN}' ${place}`]);
      const found = await find("/ --exclude-dir=proc --exclude-dir=sys --exclude-dir=agents");
      assert.deepEqual([found.exitCode, found.stdout], [1, ""], found.stderr);
      await fixture.ok("vm", "exec", vm, "--", "sh", "-c", "printf real-%s key-4f1c >/root/control");
      assert.equal((await find("/root")).stdout, "/root/control\n");
      const write = await fixture.cli(["vm", "exec", vm, "--", "touch", `/opt/agents/${agent}/mine`]);
      assert.match(write.stderr, /Read-only file system/);
      const { agents } = await fixture.json<{ agents: { name: string; isInstalled: boolean }[] }>("agent", "list");
      assert.equal(agents.find((each) => each.name === agent)?.isInstalled, true);
      // Nor is it in what this host keeps of the task.
      for (const file of await readdir(path.join(fixture.paths.home, "tasks"), {
        recursive: true,
        withFileTypes: true,
      }))
        if (file.isFile())
          assert.ok(!(await readFile(path.join(file.parentPath, file.name), "latin1")).includes(KEY), file.name);
      await fixture.ok("vm", "delete", vm);
    });
}

async function eventsOf({ client }: DaemonFixture, id: string): Promise<TaskEvent[]> {
  const events: TaskEvent[] = [];
  for await (const event of client.tasks.events(id)) events.push(event as TaskEvent);
  return events;
}

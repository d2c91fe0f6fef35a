import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";

const PROGRAM = path.join(import.meta.dirname, "../../bin/firebreak");
/** What bash offers behind these words, of which the last one is begun. */
const SCRIPT = `source <("$0" completion bash)
COMP_WORDS=(firebreak "$@"); COMP_CWORD=$#; COMPREPLY=()
firebreak() { false; }
_firebreak; printf '%s\\n' "\${COMPREPLY[@]}"`;

const complete = (...words: string[]) =>
  execFileSync("bash", ["-c", SCRIPT, PROGRAM, ...words], { encoding: "utf8" })
    .trim()
    .split("\n");

test("completion goes on behind arguments, and behind values of options", () => {
  assert.deepEqual(complete("vm", "exec", "web", "--det"), ["--detach"]);
  assert.deepEqual(complete("vm", "create", "--memory", "1G", "web", "--workspace-"), ["--workspace-path"]);
  assert.deepEqual(complete("vm", "exec", "web", "--env", "run", "--det"), ["--detach"]);
});

test("completion knows the values of a task's options", () => {
  assert.deepEqual(complete("task", "run", "--agent", "cla"), ["claude"]);
  assert.deepEqual(complete("task", "run", "--network", "a"), ["allowlist"]);
  assert.deepEqual(complete("task", "run", "--keep-vm", "on"), ["on-failure"]);
  assert.deepEqual(complete("task", "run", "--driver", "q"), ["qemu"]);
  assert.deepEqual(complete("task", "list", "--state", "c"), ["collecting", "completed", "cancelled"]);
  assert.deepEqual(complete("agent", "get", "cl"), ["claude"]);
});

test("completion asks a daemon that runs for tasks", () => {
  const told = JSON.stringify({ tasks: [{ id: "4f1c0e9a2b3d", vm: { id: "000000000000" } }] }, null, 2);
  // In the place of a daemon.
  const script = SCRIPT.replace("{ false; }", '{ test "$1" = daemon || printf "%s\\n" "$TOLD"; }');
  const env = { ...process.env, TOLD: told };
  const offered = execFileSync("bash", ["-c", script, PROGRAM, "task", "logs", ""], { encoding: "utf8", env });
  assert.ok(offered.includes("4f1c0e9a2b3d"), offered);
  assert.ok(!offered.includes("000000000000"), offered);
});

test("completion offers no command that only programs start", () => {
  assert.deepEqual(complete("vm", "ssh"), ["ssh"]);
});

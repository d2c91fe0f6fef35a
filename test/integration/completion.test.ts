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

test("completion offers no command that only programs start", () => {
  assert.deepEqual(complete("vm", "ssh"), ["ssh"]);
});

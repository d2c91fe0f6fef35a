import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const run = (args: string[], input = "") => fixture.cli(["run", ...args], { input });
const noVmIsLeft = async () => assert.deepEqual(await fixture.client.vms.list(), []);

test("run prints what the command prints, ends with its exit code, and leaves no VM", async () => {
  const result = await run(["--", "sh", "-c", "echo hi; echo err >&2; exit 3"]);
  assert.deepEqual([result.stdout, result.exitCode], ["hi\n", 3]);
  assert.match(result.stderr, /err\n$/);
  await noVmIsLeft();
});

test("run passes stdin, environment, working directory and user on", async () => {
  const result = await run(
    ["--env", "A=x=y", "--cwd", "/tmp", "--user", "nobody", "--", "sh", "-c", 'cat; echo "$A $PWD $(id -un)"'],
    "in\n",
  );
  assert.equal(result.stdout, "in\nx=y /tmp nobody\n");
});

test("run makes the VM that it is asked for", async () => {
  const script =
    "nproc; free -m | awk '/Mem/{print ($2 > 300 && $2 < 420)}'; df -m / | awk 'NR==2{print ($2 > 200 && $2 < 320)}'";
  const result = await run(["--memory", "384", "--cpus", "2", "--disk", "300M", "--", "sh", "-c", script]);
  assert.equal(result.stdout, "2\n1\n1\n");
});

test("a command at its timeout ends with 124, a killed one with 128 + signal", async () => {
  assert.equal((await run(["--timeout", "500ms", "--", "sleep", "60"])).exitCode, 124);
  assert.equal((await run(["--", "sh", "-c", "kill -TERM $$"])).exitCode, 143);
  await noVmIsLeft();
});

test("a command that is missing ends with 127, one that cannot be run with 126", async () => {
  const missing = await run(["--", "no-such-program"]);
  assert.equal(missing.exitCode, 127);
  assert.match(missing.stderr, /COMMAND_NOT_FOUND/);
  assert.equal((await run(["--", "/etc/passwd"])).exitCode, 126);
  await noVmIsLeft();
});

test("a signal to run reaches the command", async () => {
  const child = spawn(
    fixture.program,
    ["run", "--", "sh", "-c", 'trap "echo caught; exit 5" TERM; echo up; while :; do sleep 0.1; done'],
    { env: fixture.env },
  );
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
    if (String(chunk).includes("up")) child.kill("SIGTERM");
  });
  const exitCode = await new Promise((resolve) => child.once("close", resolve));
  assert.deepEqual([exitCode, output], [5, "up\ncaught\n"]);
});

test("a run that is killed takes its VM with it", async () => {
  const child = spawn(fixture.program, ["run", "--", "sh", "-c", "echo up; sleep 600"], {
    env: fixture.env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGKILL");
  await waitFor(async () => (await fixture.client.vms.list()).length === 0);
  await noVmIsLeft();
});

test("a run that is interrupted while its VM boots takes the VM with it", async () => {
  const child = spawn(fixture.program, ["run", "--", "true"], { env: fixture.env, stdio: "ignore" });
  while (!(await fixture.client.vms.list()).some((vm) => vm.state === "starting")) await sleep(20);
  child.kill("SIGINT");
  assert.equal(await new Promise((resolve) => child.once("close", resolve)), 130);
  await waitFor(async () => (await fixture.client.vms.list()).length === 0);
  await noVmIsLeft();
});

test("--json reports text as text and other bytes as base64", async () => {
  const text = JSON.parse((await run(["--json", "--", "sh", "-c", "echo out; exit 2"])).stdout);
  assert.deepEqual([text.exitCode, text.stdout, text.timedOut], [2, "out\n", false]);
  const bytes = JSON.parse((await run(["--json", "--", "printf", "a\\000\\377"])).stdout);
  assert.equal(Buffer.from(bytes.stdoutBase64, "base64").toString("hex"), "6100ff");
});

test("each wrong value is one clear error with a code, and starts nothing", async () => {
  const cases: [string[], number, RegExp][] = [
    [["run", "--memory", "0", "--", "true"], 125, /--memory: at least 128 MiB \(INVALID_ARGUMENT/],
    [["run", "--memory", "1000000000", "--", "true"], 125, /INVALID_ARGUMENT/],
    [["run", "--memory", "900000", "--", "true"], 125, /VM_MEMORY_EXHAUSTED/],
    [["run", "--memory", "much", "--", "true"], 125, /INVALID_ARGUMENT/],
    [["run", "--image", "nope", "--", "true"], 125, /IMAGE_NOT_FOUND/],
    [["run", "--cwd", "relative", "--", "true"], 125, /INVALID_ARGUMENT/],
    [["run", "--no-such-flag", "--", "true"], 125, /UNKNOWN_FLAG/],
    [["run"], 125, /INVALID_ARGUMENT/],
    [["vm", "create", "a/b"], 2, /INVALID_NAME/],
    [["vm", "create", "UPPER"], 2, /INVALID_NAME/],
    [["vm", "get", "nobody"], 3, /VM_NOT_FOUND/],
    [["vm", "exec", "nobody", "--", "true"], 125, /VM_NOT_FOUND/],
    [["vm", "cp", "/etc/hostname", "nobody:relative"], 2, /INVALID_PATH/],
    [["image", "build", "nope"], 3, /IMAGE_NOT_FOUND/],
    [["vmm"], 2, /UNKNOWN_COMMAND/],
  ];
  for (const [args, exitCode, message] of cases) {
    const result = await fixture.cli(args);
    assert.equal(result.exitCode, exitCode, `${args.join(" ")}: ${result.stderr}`);
    assert.match(result.stderr, message);
    assert.equal(result.stdout, "");
  }
  await noVmIsLeft();
});

test("with --json an error is JSON too", async () => {
  const result = await fixture.cli(["vm", "get", "nobody", "--json"]);
  const { error } = JSON.parse(result.stderr);
  assert.deepEqual([error.code, error.class, typeof error.hint], ["VM_NOT_FOUND", "not_found", "string"]);
});

test("every command has help with a description", async () => {
  for (const args of [
    [],
    ["run"],
    ["vm"],
    ["vm", "create"],
    ["vm", "exec"],
    ["vm", "cp"],
    ["image"],
    ["daemon"],
    ["doctor"],
    ["serve", "mcp"],
  ]) {
    const result = await fixture.cli([...args, "--help"]);
    assert.equal(result.exitCode, 0, args.join(" "));
    assert.match(result.stdout, /Usage: firebreak/);
  }
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  await fixture.client.vms.create({ name: "box" });
});
after(() => fixture.close());

const exec = (argv: string[], input = "") => fixture.cli(["vm", "exec", "box", "--", ...argv], { input });
const sh = (script: string, input = "") => exec(["sh", "-c", script], input);
/** 0 of a process that has ended and is not reaped yet: it has no memory. */
const rssKib = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);

test("a command that leaves a child with its stdout ends when it ends itself", async () => {
  const result = await sh("sleep 300 & echo done; exit 6");
  assert.deepEqual([result.stdout, result.exitCode], ["done\n", 6]);
});

test("a NUL and bytes that are not UTF-8 come through as they are", async () => {
  const child = spawn(fixture.program, ["vm", "exec", "box", "--", "printf", "a\\000\\377\\200b"], {
    env: fixture.env,
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  child.stdin.end();
  await new Promise((resolve) => child.once("close", resolve));
  assert.equal(Buffer.concat(chunks).toString("hex"), "6100ff8062");
});

test("2 GiB of output come through whole, and no memory grows with them", async () => {
  const total = 2 * 1024 ** 3;
  const { pid } = await fixture.client.status();
  const before = rssKib(pid);
  const child = spawn(fixture.program, ["vm", "exec", "box", "--", "head", "-c", String(total), "/dev/zero"], {
    env: fixture.env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let bytes = 0;
  let peakKib = 0;
  const watch = setInterval(() => {
    peakKib = Math.max(peakKib, rssKib(pid), child.exitCode === null ? rssKib(child.pid ?? pid) : 0);
  }, 200);
  for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
  clearInterval(watch);
  assert.equal(bytes, total);
  assert.ok(peakKib < before + 256 * 1024, `the daemon or the CLI grew to ${peakKib} KiB from ${before} KiB`);
});

test("a reader that stops reading stops the command, and neither memory nor other commands suffer", async () => {
  const { pid } = await fixture.client.status();
  const child = spawn(
    fixture.program,
    ["vm", "exec", "box", "--", "sh", "-c", "head -c 400000000 /dev/zero; touch /tmp/all-written"],
    { env: fixture.env, stdio: ["ignore", "pipe", "inherit"] },
  );
  child.stdout.pause();
  await sleep(4000);
  assert.equal((await sh("test -e /tmp/all-written")).exitCode, 1, "the command waits for its reader");
  assert.ok(rssKib(pid) < 400 * 1024);
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
  assert.equal(bytes, 400_000_000);
});

test("a reader that goes away ends the command", async () => {
  const child = spawn("sh", ["-c", `${fixture.program} vm exec box -- sh -c 'yes marker-yes' | head -1`], {
    env: fixture.env,
  });
  await new Promise((resolve) => child.once("close", resolve));
  await waitFor(async () => (await sh("pgrep -x yes | wc -l")).stdout.trim() === "0");
});

test("a reader that goes away is no failure: 141, as of any program, and not a word", async () => {
  const result = spawn("bash", ["-c", `${fixture.program} vm exec box -- yes | head -1; exit \${PIPESTATUS[0]}`], {
    env: fixture.env,
  });
  let stderr = "";
  result.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const exitCode = await new Promise((resolve) => result.once("close", resolve));
  assert.deepEqual([exitCode, stderr], [141, ""]);
});

test("a terminal of no size counts as one of 80 x 24", async () => {
  const child = spawn(
    "script",
    ["-qec", `stty cols 0 rows 0; ${fixture.program} vm exec box -- stty size`, "/dev/null"],
    {
      env: fixture.env,
    },
  );
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  await new Promise((resolve) => child.once("close", resolve));
  assert.match(output, /^24 80/);
});

test("a working directory that is missing is a missing file, not a missing exec", async () => {
  const result = await fixture.cli(["vm", "exec", "box", "-w", "/nope", "--", "pwd"]);
  assert.match(result.stderr, /FILE_NOT_FOUND/);
});

test("background commands are listed, followed and ended from the command line", async () => {
  const id = (
    await fixture.cli(["vm", "exec", "box", "--detach", "--", "sh", "-c", "echo begun; sleep 600"])
  ).stdout.trim();
  assert.match((await fixture.cli(["vm", "execs", "box"])).stdout, new RegExp(`${id} +running`));
  assert.equal((await fixture.cli(["vm", "attach", "box", id, "--no-follow"])).stdout, "begun\n");
  const following = fixture.cli(["vm", "attach", "box", id]);
  await fixture.cli(["vm", "kill", "box", id, "--time", "500ms"]);
  assert.deepEqual([(await following).exitCode, (await following).stdout], [143, "begun\n"]);
  assert.match((await fixture.cli(["vm", "kill", "box", "never"])).stderr, /EXEC_NOT_FOUND/);
});

test("a caller that is killed takes its command's whole group with it", async () => {
  const child = spawn(fixture.program, ["vm", "exec", "box", "--", "sh", "-c", "sleep 7777 & sleep 7777"], {
    env: fixture.env,
    stdio: ["pipe", "ignore", "ignore"],
  });
  while ((await sh("pgrep -fx 'sleep 7777' | wc -l")).stdout.trim() !== "2") await sleep(100);
  child.kill("SIGKILL");
  await waitFor(async () => (await sh("pgrep -fx 'sleep 7777' | wc -l")).stdout.trim() === "0");
});

test("a detached command goes on, is listed, attached to and killed", async () => {
  const id = (
    await fixture.cli(["vm", "exec", "box", "--detach", "--", "sh", "-c", "echo begun; sleep 600"])
  ).stdout.trim();
  const listed = (await fixture.client.execs.list("box")).find((entry) => entry.id === id);
  assert.equal(listed?.state, "running");
  const attached = await fixture.client.execs.attach("box", id, 0, true);
  const reading = (async () => {
    let text = "";
    for await (const output of attached.output()) if (output.type === "stdout") text += output.bytes;
    return text;
  })();
  await sleep(500);
  await fixture.client.execs.kill("box", id, 500);
  assert.equal(await reading, "begun\n");
  assert.equal(attached.exit?.signal, "SIGTERM");
});

test("many commands at once keep their outputs apart", async () => {
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) => sh(`for i in 1 2 3; do echo ${index}; done`)),
  );
  results.forEach((result, index) => {
    assert.equal(result.stdout, `${index}\n${index}\n${index}\n`);
  });
});

test("with a terminal the command has one, of our size, and Ctrl-C is the command's", async () => {
  const inner = `${fixture.program} vm exec box -- sh -c 'tty; stty size; trap "echo int; exit 9" INT; sleep 30 & wait'`;
  const child = spawn("script", ["-qec", `stty cols 99 rows 33; ${inner}`, "/dev/null"], { env: fixture.env });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  while (!output.includes("33 99")) await sleep(50);
  await sleep(500);
  child.stdin.write("\x03");
  const exitCode = await new Promise((resolve) => child.once("close", resolve));
  // The host terminal turns the guest terminal's line ends once more.
  assert.match(output, /\/dev\/pts\/\d+\r+\n33 99\r+\n/);
  assert.match(output, /int/);
  assert.equal(exitCode, 9);
});

test("callers that go away at any moment leave no command behind", async () => {
  for (let delayMs = 0; delayMs < 40; delayMs += 2) {
    const aborter = new AbortController();
    const call = fixture.client.execs.start("box", { argv: ["sleep", "8888"] }, { signal: aborter.signal });
    await sleep(delayMs);
    aborter.abort();
    await call.then((stream) => stream.close()).catch(() => {});
  }
  await waitFor(async () => (await sh("pgrep -fx 'sleep 8888' | wc -l")).stdout.trim() === "0");
});

test("stdin that ends after the command has takes neither output nor exit code away", async () => {
  for (let round = 0; round < 5; round++) {
    const stream = await fixture.client.execs.start("box", {
      argv: ["sh", "-c", "echo 1; sleep .2; echo 2; exit 5"],
      stdin: true,
    });
    let text = "";
    stream.onStarted = () => {
      const until = Date.now() + 1_000; // this process stands still while the command ends
      while (Date.now() < until);
      void stream.writeStdin(Buffer.alloc(200_000));
      stream.endStdin();
    };
    for await (const output of stream.output()) if (output.type === "stdout") text += output.bytes;
    assert.deepEqual([text, stream.exit?.exitCode], ["1\n2\n", 5]);
  }
});

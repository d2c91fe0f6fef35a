import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { DaemonStatus } from "../../src/contract/daemon.ts";
import type { Vm } from "../../src/contract/vm.ts";
import type { ExecInfo } from "../../src/guest/protocol.ts";
import { type DaemonFixture, runProgram, startDaemonFixture } from "../support/daemon-fixture.ts";
import { installOtherVersion, type OtherVersion } from "../support/other-version.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
let other: OtherVersion;
before(async () => {
  fixture = await startDaemonFixture();
  other = await installOtherVersion(fixture.folder);
});
after(async () => {
  // What is left is this version's to clear up.
  await runProgram(other.program, ["daemon", "stop"], { env: fixture.env });
  await fixture.cli(["daemon", "start"]);
  await fixture.close();
});

/** As users of the other version do it. */
const run = (...args: string[]) => runProgram(other.program, args, { env: fixture.env });
async function json<T>(...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await run(...args, "--json");
  assert.equal(exitCode, 0, `${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

const fetchText = (url: string) =>
  fetch(url).then(
    (response) => response.text(),
    () => undefined,
  );

/** Prints a number ten times a second until it finds a file. */
const COUNT = "i=0; while [ ! -e /root/enough ]; do i=$((i+1)); echo $i; sleep 0.1; done; echo last $i";

test("VMs, their commands and their forwards outlive a daemon that another version takes over from, and back", async () => {
  const created = await fixture.json<Vm & { forwards: { hostPort: number }[] }>(
    ...["vm", "create", "web", "--publish", "8000", "--label", "keep=yes"],
  );
  const url = `http://127.0.0.1:${created.forwards[0]?.hostPort}/`;
  await fixture.ok("vm", "create", "asleep");
  await fixture.ok("vm", "exec", "asleep", "--", "sh", "-c", "echo kept > /root/mark");
  await fixture.ok("vm", "suspend", "asleep");
  await fixture.ok("vm", "exec", "web", "--", "sh", "-c", "mkdir /srv/www; echo it works > /srv/www/index.html");
  const server = ["python3", "-m", "http.server", "8000", "--bind", "127.0.0.1", "-d", "/srv/www"];
  await fixture.ok("vm", "exec", "web", "--detach", "--", ...server);
  await waitFor(async () => (await fetchText(url)) === "it works\n");
  const counting = (await fixture.ok("vm", "exec", "web", "--detach", "--", "sh", "-c", COUNT)).stdout.trim();
  const before = await fixture.client.vms.get("web");
  const printed = async (get: () => Promise<ExecInfo>) => (await get()).outputBytes;
  await waitFor(async () => (await printed(() => fixture.client.execs.get("web", counting))) > 20);

  // Two versions do not talk past each other: whoever comes with the other one hears what to do, and does it.
  const refused = await run("vm", "list");
  assert.notEqual(refused.exitCode, 0);
  assert.match(refused.stderr, /speaks API[\s\S]*firebreak daemon stop \(VMs go on\)/);
  const stopped = await run("daemon", "stop");
  assert.equal(stopped.exitCode, 0, stopped.stderr);
  const vms = await json<{ vms: Vm[] } | Vm[]>("vm", "list");
  const status = await json<DaemonStatus>("daemon", "status");
  assert.deepEqual([status.version, status.apiVersion], [other.version, other.apiVersion]);
  assert.equal((Array.isArray(vms) ? vms : vms.vms).length, 2);

  const web = await json<Vm>("vm", "get", "web");
  assert.deepEqual(
    [web.state, web.pid, web.id, web.startedAt, web.labels],
    ["running", before.pid, before.id, before.startedAt, { keep: "yes" }],
  );
  await waitFor(async () => (await fetchText(url)) === "it works\n");
  // Nothing of the command's output is lost, from before, between, and after.
  await run("vm", "exec", "web", "--", "touch", "/root/enough");
  const output = (await run("vm", "attach", "web", counting)).stdout.trim().split("\n");
  const last = output.length - 1;
  assert.ok(last > 10);
  assert.deepEqual(output, [...Array.from({ length: last }, (_, index) => String(index + 1)), `last ${last}`]);
  assert.equal((await run("vm", "exec", "asleep", "--", "cat", "/root/mark")).stdout, "kept\n");

  // And back again: an upgrade that somebody regrets.
  assert.equal((await run("daemon", "stop")).exitCode, 0);
  assert.equal((await fixture.json<Vm>("vm", "get", "web")).pid, before.pid);
  await waitFor(async () => (await fetchText(url)) === "it works\n");
  assert.match((await fixture.ok("event", "list", "web")).stdout, /adopted[\s\S]*adopted/);
});

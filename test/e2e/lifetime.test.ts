import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { DaemonClient } from "../../src/client/daemon-client.ts";
import type { EventPage, VmEvent } from "../../src/contract/event.ts";
import type { Vm, VmStats } from "../../src/contract/vm.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const ok = async (...args: string[]) => (await fixture.ok(...args)).stdout;
const json = <T>(...args: string[]) => fixture.json<T>(...args);

test("a VM has labels, a restart policy and a lifetime from its creation on, and is found by its labels", async () => {
  const words = ["--label", "team=infra", "--label", "tier=1", "--restart", "on-failure:3", "--max-lifetime", "8h"];
  const vm = await json<Vm>("vm", "create", "web", "--memory", "256", ...words);
  assert.deepEqual(
    [vm.labels, vm.restart],
    [
      { team: "infra", tier: "1" },
      { policy: "on-failure", maxRetries: 3 },
    ],
  );
  await ok("vm", "create", "other", "--memory", "256");
  const names = async (...labels: string[]) =>
    (await json<{ vms: Vm[] }>("vm", "list", ...labels.flatMap((label) => ["--label", label]))).vms.map(
      ({ name }) => name,
    );
  assert.deepEqual(await names("team=infra", "tier"), ["web"]);
  assert.deepEqual(await names("team=other"), []);
  assert.match(
    await ok("vm", "get", "web"),
    /labels +team=infra, tier=1\nrestart +on-failure, at most 3 times in a row/,
  );
  await ok("vm", "update", "web", "--unlabel", "tier", "--max-lifetime", "never", "--name", "site");
  const updated = await json<Vm>("vm", "get", "site");
  assert.deepEqual([updated.labels, updated.expiresAt], [{ team: "infra" }, undefined]);
});

test("what is wrong is said with the flag's name", async () => {
  for (const [words, pattern] of [
    [["vm", "create", "--restart", "sometimes"], /--restart: 'sometimes' is not never, on-failure, always/],
    [["vm", "create", "--restart", "never:3"], /--restart/],
    [["vm", "create", "--label", "nokey"], /--label: 'nokey' is not KEY=VALUE/],
    [["vm", "create", "--label", "a b=c"], /label's key/],
    [["vm", "create", "--on-expiry", "explode"], /--on-expiry: stop, suspend, delete/],
    [["vm", "update", "site"], /nothing to change/],
    [["vm", "wait", "site", "--for", "happy"], /a state of a VM, or deleted/],
    [["vm", "events", "nobody"], /VM_NOT_FOUND/],
  ] as const) {
    const result = await fixture.cli([...words]);
    assert.match(result.stderr, pattern, words.join(" "));
    assert.ok([2, 3].includes(result.exitCode ?? 0), words.join(" "));
  }
});

test("a real VMM that is killed is noticed, told of and started again on its disk", async () => {
  await ok("vm", "exec", "site", "--", "sh", "-c", "echo kept > /root/note; sync");
  const { pid } = await json<Vm>("vm", "get", "site");
  process.kill(pid as number, "SIGKILL");
  await waitFor(async () => {
    const vm = await fixture.client.vms.get("site");
    return vm.state === "running" && vm.pid !== pid;
  });
  assert.equal(await ok("vm", "exec", "site", "--", "cat", "/root/note"), "kept\n");
  const { events } = await json<EventPage>("vm", "events", "site");
  const crashed = events.find((event) => event.kind === "crashed");
  assert.match(String(crashed?.data.reason), /SIGKILL|killed|ended/);
  assert.ok(events.some((event) => event.kind === "restart_scheduled"));
});

test("events are followed over all VMs, each once and in order, also from where a reader left off", async () => {
  const controller = new AbortController();
  const seen: VmEvent[] = [];
  const { events: before } = await fixture.client.events.list();
  const from = before.at(-1)?.id as number;
  const following = (async () => {
    for await (const event of fixture.client.events.follow({ after: from }, { signal: controller.signal }))
      seen.push(event);
  })().catch(() => {});
  await ok("vm", "create", "brief", "--memory", "256");
  await ok("vm", "delete", "brief");
  await waitFor(() => seen.some((event) => event.kind === "deleted"));
  controller.abort();
  await following;
  assert.deepEqual(
    seen.filter((event) => event.vm === "brief").map((event) => event.kind),
    ["created", "starting", "running", "deleting", "deleted"],
  );
  const ids = seen.map((event) => event.id);
  assert.deepEqual(
    ids,
    [...new Set(ids)].sort((a, b) => a - b),
  );
  const half = ids[2] as number;
  const rest = await fixture.client.events.list({ after: half });
  assert.deepEqual(
    rest.events.map((event) => event.id),
    ids.filter((id) => id > half),
  );
  assert.deepEqual(
    (await json<EventPage>("event", "list", "--limit", "2")).events.map((event) => event.id),
    ids.slice(-2),
    "the newest",
  );
  assert.equal((await json<EventPage>("event", "list", "--limit", "1", "--after", "0")).events[0]?.id, before[0]?.id);
  const gone = seen.find((event) => event.vm === "brief")?.vmId as string;
  assert.equal((await json<EventPage>("vm", "events", gone)).events.at(-1)?.kind, "deleted", "by its id");
});

test("vm wait ends with the VM, and with its time", async () => {
  const late = await fixture.cli(["vm", "wait", "other", "--timeout", "200ms"]);
  assert.equal(late.exitCode, 124);
  assert.match(late.stderr, /is running, not stopped or crashed or deleted/);
  const waiting = ok("vm", "wait", "other");
  await ok("vm", "stop", "other");
  assert.equal(await waiting, "stopped\n");
});

test("vm stats shows what a VM uses, on a table and as JSON", async () => {
  const { stats } = await json<{ stats: VmStats[] }>("vm", "stats", "site");
  const [site] = stats;
  assert.ok(site !== undefined && (site.guest?.processes ?? 0) > 0 && (site.vmm?.cpuMs ?? 0) > 0);
  assert.ok(site.drive.allocatedBytes > 0 && site.drive.allocatedBytes <= site.drive.sizeBytes);
  assert.match(await ok("vm", "stats"), /^NAME +STATE +CPU .*\nsite +running +[\d.]+ %/);
});

test("left-overs of a crash are found, and removed when that is asked for; what is in use stays", async () => {
  const stray = path.join(fixture.paths.vms, "0123456789ab");
  await mkdir(stray);
  const found = await fixture.cli(["doctor"]);
  assert.match(found.stdout, new RegExp(`FAIL +left-overs +${stray}`));
  assert.match(await fixture.cli(["doctor", "--fix"]).then(({ stdout }) => stdout), new RegExp(`removed ${stray}\n`));
  assert.match(await ok("doctor"), /ok +left-overs +none/);
  assert.equal(await ok("vm", "exec", "site", "--", "cat", "/root/note"), "kept\n");
  await rm(stray, { recursive: true, force: true });
});

test("a daemon that is told to end takes no new work, waits for what is under way, and suspends the VMs when asked to", async () => {
  const running = fixture.cli(["vm", "exec", "site", "--", "sh", "-c", "sleep 3; echo done"]);
  await waitFor(async () => (await fixture.client.execs.list("site")).some(({ state }) => state === "running"));
  const stopping = fixture.cli(["daemon", "stop", "--drain", "60s", "--vms", "suspend"]);
  await waitFor(async () => (await fixture.client.status()).draining !== undefined);
  await assert.rejects(fixture.client.vms.create({ name: "late" }), { code: "DAEMON_DRAINING" });
  const finished = await running;
  assert.deepEqual([finished.exitCode, finished.stdout], [0, "done\n"]);
  assert.equal((await stopping).exitCode, 0);
  // Asked without the CLI, which would start the next daemon before the question.
  await assert.rejects(new DaemonClient(fixture.paths.socket).status(), { code: "DAEMON_UNAVAILABLE" });
  assert.equal((await json<Vm>("vm", "get", "site")).state, "suspended");
  assert.equal(await ok("vm", "exec", "site", "--", "cat", "/root/note"), "kept\n");
  await waitForVmState(fixture.client, "site", "running");
});

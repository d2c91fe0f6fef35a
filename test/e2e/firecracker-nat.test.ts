import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, readlink, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Vm } from "../../src/contract/vm.ts";
import { findProcesses } from "../../src/platform/process.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { installFirecrackers } from "../support/firecracker-programs.ts";
import { type Internet, openInternet, PRIVATE, PUBLIC, requireRoot } from "../support/internet.ts";

/** Firecrackers in network namespaces of their own, on a host and an Internet of the test's own. */
let internet: Internet;
let programs: Awaited<ReturnType<typeof installFirecrackers>>;
let fixture: DaemonFixture;
before(async () => {
  requireRoot();
  internet = await openInternet();
  programs = await installFirecrackers();
  const within = [...internet.within, "sh", "-c", await withCgroups(), "sh"];
  fixture = await startDaemonFixture({ within, env: programs.env });
  await writeFile(path.join(fixture.paths.home, "firebreak.toml"), '[vms]\ndriver = "firecracker"\n');
  await fixture.ok("network", "setup");
});
after(async () => {
  await fixture?.close();
  internet?.close();
  await rm(programs.folder, { recursive: true });
});

/** `ip netns exec` hides the host's control groups, which a jail needs, behind the file system of its devices. */
async function withCgroups(): Promise<string> {
  const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  const isFirst = mounts.some(([, , type]) => type === "cgroup");
  const mount = isFirst
    ? "mount -t tmpfs none /sys/fs/cgroup && for each in memory cpu; do mkdir /sys/fs/cgroup/$each && mount -t cgroup -o $each none /sys/fs/cgroup/$each; done"
    : "mount -t cgroup2 none /sys/fs/cgroup";
  return `mountpoint -q /sys/fs/cgroup || { ${mount}; }; exec "$@"`;
}

const get = (vm: string, url: string) =>
  fixture.cli(["vm", "exec", vm, "--", "curl", "-sS", "-m", "5", url]).then(({ stdout }) => stdout);

test("a VM behind nat reaches what its rules let it, from a namespace that has nothing but its card in it", async () => {
  const made = await fixture.json<Vm>("vm", "create", "out", "--network", "nat");
  assert.deepEqual([made.driver, made.origin], ["firecracker", "boot"], "its card is part of its machine");
  assert.equal(await get("out", `http://${PUBLIC}/`), `${PUBLIC} saw 203.0.113.2`);
  assert.equal(await get("out", `http://${PRIVATE}/`), "");
  const { network } = await fixture.client.vms.stats("out");
  assert.ok(network !== undefined && network.receivedBytes > 200 && network.sentBytes > 200, JSON.stringify(network));
  const [vmm] = await findProcesses((argv) => argv.includes(made.id) && argv.some((word) => word.endsWith("main.ts")));
  assert.ok(vmm);
  const daemon = await fixture.client.status();
  assert.notEqual(await readlink(`/proc/${vmm.pid}/ns/net`), await readlink(`/proc/${daemon.pid}/ns/net`));
  const devices = (await readFile(`/proc/${vmm.pid}/net/dev`, "utf8")).matchAll(/^\s*(\S+):/gm);
  assert.deepEqual([...devices].map(([, name]) => name).sort(), ["joint", "lo", "port", "tap"]);
});

test("what is saved of it is restored with a card, also behind other rules", async () => {
  await fixture.ok("snapshot", "create", "out", "point");
  await fixture.ok("snapshot", "fork", "point", "again");
  assert.equal(await get("again", `http://${PUBLIC}/`), `${PUBLIC} saw 203.0.113.2`);
  await fixture.ok("vm", "delete", "again");
});

test("its namespace goes with it", async () => {
  await fixture.ok("vm", "delete", "out");
  const { stdout } = await fixture.ok("network", "status");
  assert.doesNotMatch(stdout, /fbt\d/);
  assert.equal(existsSync("/run/netns/fbt0"), false);
});

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { trustAsHost } from "../support/host-trust.ts";
import { waitFor } from "../support/wait-for.ts";

/** Debian's Docker in a VM, installed there from the registries of this host: containers, their networks and their limits. */

const INSTALL_MS = 900_000;
const START_MS = 120_000;
let fixture: DaemonFixture;
const web = createServer((_request, response) => response.end("hello from the host\n"));

before(async () => {
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  fixture = await startDaemonFixture();
  trustAsHost(fixture);
  const policy = {
    mode: "allowlist",
    allow: ["registries", { host: "web.test", ports: String(port()), private: true }],
    hosts: { "web.test": "127.0.0.1" },
  };
  const policyFile = path.join(fixture.folder, "policy.json");
  writeFileSync(policyFile, JSON.stringify(policy));
  const size = ["--memory", "1G", "--cpus", "2", "--disk", "4G"];
  await fixture.ok("vm", "create", "dock", ...size, "--policy", policyFile);
  await fixture.ok("vm", "cp", makeRootfs(), "dock:/root/rootfs.tar");
});
after(async () => {
  web.close();
  await fixture?.close();
});

const port = () => (web.address() as AddressInfo).port;
const sh = (script: string, timeoutMs?: number) =>
  fixture.cli(["vm", "exec", "dock", "--", "bash", "-c", script], timeoutMs === undefined ? {} : { timeoutMs });
const run = (...words: string[]) => fixture.cli(["vm", "exec", "dock", "--", "docker", "run", "--rm", ...words]);

/** A root file system as `docker import` takes it: one static program. */
function makeRootfs(): string {
  const bin = path.join(fixture.folder, "rootfs", "bin");
  mkdirSync(bin, { recursive: true });
  copyFileSync("/bin/busybox", path.join(bin, "busybox"));
  for (const name of ["sh", "echo", "wget", "nc", "cat", "httpd"]) symlinkSync("busybox", path.join(bin, name));
  const tar = path.join(fixture.folder, "rootfs.tar");
  execFileSync("tar", ["-C", path.dirname(bin), "-cf", tar, "."]);
  return tar;
}

/** Without an init in the VM: a command that goes on by itself. */
async function startDocker(dataRoot: string): Promise<void> {
  await fixture.ok("vm", "exec", "--detach", "dock", "--", "dockerd", "--data-root", dataRoot);
  const isUp = async () => (await sh("docker info")).exitCode === 0;
  await waitFor(isUp, START_MS);
  assert.equal((await sh("docker import /root/rootfs.tar hello")).exitCode, 0);
}

test("Docker is installed through the allowlist, with the kernel's modules where it has them apart", async () => {
  const packages = "docker.io iptables kmod";
  const installed = await sh(
    `export DEBIAN_FRONTEND=noninteractive; apt-get update -q && apt-get install -q -y --no-install-recommends ${packages}`,
    INSTALL_MS,
  );
  assert.equal(installed.exitCode, 0, installed.stdout + installed.stderr);
  // Debian's kernel has them in its package; one of `firebreak kernel build` has all that is needed built in.
  const modules = await sh(
    `set -e -o pipefail; case $(uname -r) in *-firebreak) exit 0 ;; esac
    cd /root; apt-get download -q linux-image-$(uname -r)
    dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x -C /usr ./lib/modules; rm linux-image-*.deb; depmod`,
    INSTALL_MS,
  );
  assert.equal(modules.exitCode, 0, modules.stdout + modules.stderr);
});

test("an imported root file system says hello", async () => {
  await startDocker("/var/lib/docker");
  const { stdout, stderr } = await run("hello", "/bin/echo", "hello");
  assert.equal(stdout, "hello\n", stderr);
});

test("a container reaches what the VM's policy names, and no more", async () => {
  const url = `http://web.test:${port()}/`;
  const there = await run("hello", "/bin/wget", "-q", "-O", "-", url);
  assert.equal(there.stdout, "hello from the host\n", there.stderr);
  // As a program there hears: the name's other port is reset, the address has no route.
  assert.notEqual((await run("hello", "/bin/wget", "-q", "-O", "-", "http://web.test:81/")).exitCode, 0);
  assert.notEqual((await run("hello", "/bin/nc", "-w", "30", "1.1.1.1", "80")).exitCode, 0);
  const log = async () => (await fixture.json<{ events: EgressEvent[] }>("egress", "log", "dock")).events;
  await waitFor(async () =>
    (await log()).some(({ address, verdict }) => address === "1.1.1.1" && verdict === "denied"),
  );
  assert.ok(
    (await log()).some(({ name, port: at, verdict }) => name === "web.test" && at === 81 && verdict === "denied"),
  );
});

test("a container's port is the VM's, and of this host by a forward; its limits are kept by the kernel", async () => {
  const started = await sh("docker run -d --name www -p 8080:80 --memory 64m hello /bin/httpd -f -p 80 -h /bin");
  assert.equal(started.exitCode, 0, started.stderr);
  const { hostPort } = await fixture.json<{ hostPort: number }>("forward", "create", "dock", "8080");
  await waitFor(async () => {
    const answer = await fetch(`http://127.0.0.1:${hostPort}/busybox`).catch(() => undefined);
    await answer?.body?.cancel();
    return answer?.status === 200;
  }, START_MS);
  const limit = await sh("docker exec www /bin/cat /sys/fs/cgroup/memory.max; docker rm -f www");
  assert.equal(limit.stdout, "67108864\nwww\n", limit.stderr);
});

test("on a volume its layers are overlays", async () => {
  assert.equal((await sh("pkill -x dockerd; while pgrep -x dockerd; do sleep 0.5; done")).exitCode, 0);
  await fixture.ok("volume", "create", "layers", "--size", "1G");
  const attached = await fixture.cli(["drive", "attach", "dock", "layers", "--path", "/srv/docker"]);
  assert.equal(attached.exitCode, 0, `${attached.stderr}${(await sh("dmesg | tail -n 20")).stdout}`);
  await startDocker("/srv/docker");
  assert.equal((await sh("docker info -f '{{.Driver}}'")).stdout, "overlay2\n");
  assert.equal((await run("hello", "/bin/echo", "hello")).stdout, "hello\n");
});

import assert from "node:assert/strict";
import { appendFile, cp, readFile, realpath, rm, truncate } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { parseKernelConfig } from "../../src/images/kernel-config.ts";
import { listKernels } from "../../src/images/kernel-store.ts";
import { kernelConfigPath } from "../../src/platform/package-files.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/** A build from nothing takes some six minutes on two cores; the test home keeps the kernel. */
const BUILD_DEADLINE_MS = 18 * 60_000;

let fixture: DaemonFixture;
let built: { id: string; release: string };
let stockId: string;

before(async () => {
  fixture = await startDaemonFixture();
  const made = await fixture.cli(["kernel", "build", "--json"], { timeoutMs: BUILD_DEADLINE_MS });
  assert.equal(made.exitCode, 0, made.stderr);
  built = JSON.parse(made.stdout).kernel;
  // From here on kernels are chosen and altered: not those that other tests share.
  const shared = await realpath(fixture.paths.kernels);
  await rm(fixture.paths.kernels);
  await cp(shared, fixture.paths.kernels, { recursive: true });
  const stock = await fixture.cli(["kernel", "use", "stock", "--json"]);
  assert.equal(stock.exitCode, 0, stock.stderr);
  stockId = JSON.parse(stock.stdout).id;
});
after(() => fixture.close());

/** Runs a script in a VM of its own that boots the built kernel, and returns what it prints. */
async function runInBuilt(command: string[], options: string[] = []): Promise<string> {
  const used = await fixture.cli(["kernel", "use", built.id]);
  assert.equal(used.exitCode, 0, used.stderr);
  const result = await fixture.cli(["run", ...options, "--", ...command]);
  assert.equal(result.exitCode, 0, result.stderr);
  return result.stdout;
}

describe("the built kernel in a VM", () => {
  test("boots, and has taken every line of the configuration", async () => {
    const script = `uname -r; python3 -c 'import gzip, sys; sys.stdout.write(gzip.open("/proc/config.gz", "rt").read())'`;
    const [release, ...lines] = (await runInBuilt(["sh", "-c", script])).split("\n");
    assert.equal(release, built.release);
    const config = parseKernelConfig(lines.join("\n"));
    const wanted = parseKernelConfig(await readFile(kernelConfigPath(), "utf8"));
    for (const [symbol, value] of wanted) assert.equal(config.get(symbol) ?? "n", value, symbol);
    assert.equal(config.get("MODULES") ?? "n", "n");
  });

  test("has the file systems, cgroups and namespaces that containers need", async () => {
    const script = [
      "cut -f2 /proc/filesystems",
      "echo --; stat -f -c %T / /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers",
      "echo --; unshare --user --map-root-user --mount --net --uts --ipc --pid --cgroup --time --fork hostname",
    ].join("; ");
    const [fileSystems, mounts, inner] = (await runInBuilt(["sh", "-c", script])).split("--\n");
    for (const name of ["overlay", "ext4", "squashfs", "erofs", "fuse", "tmpfs", "cgroup2", "mqueue", "binfmt_misc"])
      assert.ok(fileSystems?.split("\n").includes(name), name);
    assert.match(mounts ?? "", /^overlayfs\ncgroup2fs\n/);
    for (const name of ["cpuset", "cpu", "io", "memory", "pids"])
      assert.ok(mounts?.split("\n")[2]?.split(" ").includes(name), name);
    assert.notEqual(inner?.trim(), "");
  });

  test("makes a bridge, a pair of veths and a tun device, filters and masquerades, and has vsock and FUSE", async () => {
    const script = await readFile(path.join(import.meta.dirname, "../support/guest-devices.py"), "utf8");
    const { "nft nonsense": nonsense, ...answers } = JSON.parse(await runInBuilt(["python3", "-c", script]));
    assert.equal(nonsense, "No such file or directory", "the script would not see a missing part");
    for (const [what, answer] of Object.entries(answers)) assert.equal(answer, "ok", what);
    assert.deepEqual(Object.keys(answers).sort(), [
      ...["/dev/fuse", "bridge", "conntrack", "io_uring", "landlock", "nft chain", "nft compat", "nft masquerade"],
      ...["nft table", "tun", "veth", "vsock"],
    ]);
  });

  test("sleeps as long as it is told to, and its clock goes as the host's does", async () => {
    const script = [
      "import sys, time",
      "started = time.monotonic()",
      "time.sleep(0.2)",
      "print(time.monotonic() - started, flush=True)",
      "for _ in range(2):",
      "  sys.stdin.readline()",
      "  print(time.monotonic(), time.time(), flush=True)",
    ].join("\n");
    await fixture.cli(["kernel", "use", built.id]);
    const vm = await fixture.client.vms.create({ name: "clock" });
    const stream = await fixture.client.execs.start(vm.name, { argv: ["python3", "-c", script], stdin: true });
    const output = stream.output()[Symbol.asyncIterator]();
    const nextLine = async () => {
      const { value } = await output.next();
      return (value as { bytes: Buffer }).bytes.toString().trim();
    };
    const slept = Number(await nextLine());
    assert.ok(slept >= 0.2 && slept < 2, `slept ${slept} s`);
    const ask = async () => {
      await stream.writeStdin(Buffer.from("\n"));
      const [monotonic, wall] = (await nextLine()).split(" ").map(Number) as [number, number];
      return { host: performance.now() / 1000, monotonic, wall };
    };
    const first = await ask();
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const second = await ask();
    const host = second.host - first.host;
    assert.ok(Math.abs((second.monotonic - first.monotonic) / host - 1) < 0.05, "the monotonic clock");
    assert.ok(Math.abs((second.wall - first.wall) / host - 1) < 0.05, "the wall clock");
    assert.ok(Math.abs(second.wall - Date.now() / 1000) < 5, "the date");
    stream.close();
    await fixture.client.vms.delete(vm.id);
  });

  test("runs on more than one processor", async () => {
    assert.equal(await runInBuilt(["nproc"], ["--cpus", "2"]), "2\n");
  });
});

describe("firebreak kernel", () => {
  test("list tells which is in use, and use changes it for new VMs only", async () => {
    await fixture.cli(["kernel", "use", "stock"]);
    const old = await fixture.client.vms.create({ name: "old" });
    const used = await fixture.cli(["kernel", "use", built.id, "--json"]);
    assert.equal(JSON.parse(used.stdout).isCurrent, true);
    const { kernels } = JSON.parse((await fixture.cli(["kernel", "list", "--json"])).stdout);
    const marked = kernels.filter((kernel: { isCurrent: boolean }) => kernel.isCurrent);
    assert.deepEqual(
      marked.map((kernel: { id: string; kind: string }) => [kernel.id, kernel.kind]),
      [[built.id, "built"]],
    );
    const table = (await fixture.cli(["kernel", "list"])).stdout;
    assert.match(table, new RegExp(`^\\*  ${built.id}  .* built `, "m"));
    assert.match(table, new RegExp(`^   ${stockId}  .* stock `, "m"));
    await fixture.client.vms.stop(old.id, { force: true });
    await fixture.client.vms.start(old.id);
    const release = await fixture.cli(["vm", "exec", "old", "--", "uname", "-r"]);
    assert.match(release.stdout, /cloud-amd64/);
    await fixture.client.vms.delete(old.id);
    assert.equal(JSON.parse((await fixture.cli(["kernel", "use", "stock", "--json"])).stdout).id, stockId);
  });

  test("a kernel that is not there is KERNEL_NOT_FOUND, with those that are", async () => {
    for (const verb of ["use", "verify"]) {
      const result = await fixture.cli(["kernel", verb, "../state.db"]);
      assert.equal(result.exitCode, 3);
      assert.match(result.stderr, /KERNEL_NOT_FOUND/);
      assert.ok(result.stderr.includes(built.id));
    }
  });

  test("build has nothing to do when there is a kernel of the configuration", async () => {
    const again = await fixture.cli(["kernel", "build", "--json"]);
    assert.deepEqual([JSON.parse(again.stdout).isUpToDate, JSON.parse(again.stdout).kernel.id], [true, built.id]);
  });

  test("verify finds one altered byte; such a kernel is neither chosen nor replaced in silence", async () => {
    await fixture.cli(["kernel", "use", built.id]);
    assert.equal((await fixture.cli(["kernel", "verify"])).exitCode, 0);
    const kernel = (await listKernels(fixture.paths)).find(({ id }) => id === built.id);
    assert.ok(kernel !== undefined);
    const { sizeBytes } = kernel.files.vmlinux as { sizeBytes: number };
    await truncate(kernel.imagePath, sizeBytes - 1);
    // Also in size: a VM's start looks no further.
    const start = await fixture.cli(["run", "--", "true"]);
    assert.match(start.stderr, /KERNEL_CORRUPT/);
    await appendFile(kernel.imagePath, "x");
    const verified = await fixture.cli(["kernel", "verify"]);
    assert.equal(verified.exitCode, 4);
    assert.match(verified.stderr, /KERNEL_CORRUPT/);
    assert.match((await fixture.cli(["kernel", "use", built.id])).stderr, /KERNEL_CORRUPT/);
    assert.equal((await fixture.cli(["kernel", "use", "stock"])).exitCode, 0);
    assert.equal((await fixture.cli(["kernel", "verify", "stock"])).exitCode, 0);
  });
});

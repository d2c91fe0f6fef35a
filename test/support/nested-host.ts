import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { ensureKernel } from "../../src/images/kernel.ts";
import { type Kernel, listKernels, setCurrentKernel } from "../../src/images/kernel-store.ts";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { createPaths, resolvePaths } from "../../src/platform/paths.ts";
import { runCommand } from "../../src/platform/process.ts";
import { type CliResult, type DaemonFixture, startDaemonFixture } from "./daemon-fixture.ts";
import { fetchKvmModules, KVM_MODULES } from "./kvm-modules.ts";

/** Where things are in the guest that is the host of others. */
const PACKAGE = "/opt/firebreak";
const HOME = "/var/lib/firebreak";
const NAME = "outer";
/** A command in the guest of a guest, on a host that has other things to do. */
const COMMAND_MS = 900_000;

/** finit_module(2) of x86-64, which Debian's image has no program for. */
const INSERT = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDONLY)
if libc.syscall(313, fd, " ".join(sys.argv[2:]).encode(), 0):
    sys.exit(sys.argv[1] + ": " + os.strerror(ctypes.get_errno()))
`;

/** A guest of QEMU's, emulated, with a KVM of its own: what firebreak runs in as on a host that has KVM. */
export interface NestedHost {
  fixture: DaemonFixture;
  /** Runs the built package's CLI in it. */
  firebreak: (...args: string[]) => Promise<CliResult>;
  /** The same; fails unless it ends with 0. */
  ok: (...args: string[]) => Promise<CliResult>;
  /** Runs a shell script in it, and fails unless it ends with 0. */
  sh: (script: string) => Promise<string>;
  /** Copies a file of this host into it. */
  send: (file: string, to: string) => Promise<void>;
  /** Keeps consoles and logs of everything in a folder of this host. */
  keepLogs: (folder: string) => Promise<void>;
  close: () => Promise<void>;
}

/**
 * Boots it, with this checkout's built package (dist/), and with one kernel and the tests' image for its own guests. `say` hears what is being done. Emulated
 * processors (QEMU's "max") have AMD's SVM; Debian's kernel has the modules for it, which come out of its signed package.
 */
export async function openNestedHost(say: (what: string) => void): Promise<NestedHost> {
  const shared = path.resolve(process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test"));
  const { stock, small } = await prepareKernels(shared);
  say("KVM's modules for Debian's kernel");
  const modules = await fetchKvmModules(stock, path.join(shared, "nested", "modules"));
  say("booting the host: an emulated guest with nested SVM");
  process.env.FIREBREAK_TEST_HOME = path.join(shared, "nested");
  const fixture = await startDaemonFixture();
  process.env.FIREBREAK_TEST_HOME = shared;
  try {
    const env = { FIREBREAK_HOME: HOME, FIREBREAK_DRIVER: "firecracker", FIREBREAK_KVM_PROBE_MS: "120000" };
    const size = ["--memory", "3G", "--cpus", "2", "--disk", "8G", "--accel", "tcg", "--driver", "qemu"];
    const words = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    await fixture.ok("vm", "create", NAME, ...size, ...words);
    const host = connect(fixture);
    const insert = path.join(fixture.folder, "insert.py");
    await writeFile(insert, INSERT);
    await host.send(insert, "/root/insert.py");
    for (const name of KVM_MODULES) {
      await host.send(path.join(modules, name), `/root/${name}`);
      await host.sh(`python3 /root/insert.py /root/${name} ${name === "kvm-amd.ko" ? "nested=1" : ""}`);
    }
    await host.sh("test -c /dev/kvm");
    say("sending the package, a kernel and an image");
    await sendPackage(fixture);
    await sendHome(fixture, shared, small ?? stock);
    say(`the host is ready: ${(await host.ok("--version")).stdout.trim()}, guests boot ${(small ?? stock).id}`);
    return host;
  } catch (error) {
    await fixture.close().catch(() => {});
    throw error;
  }
}

/** A home of the host's own, whose kernel is Debian's: the other one of the tests has no modules. */
async function prepareKernels(shared: string): Promise<{ stock: Kernel; small: Kernel | undefined }> {
  const nested = path.join(shared, "nested");
  const paths = resolvePaths({
    ...process.env,
    FIREBREAK_HOME: nested,
    FIREBREAK_RUNTIME_DIR: path.join(nested, "run"),
  });
  createPaths(paths);
  await rm(paths.images, { recursive: true });
  await symlink(path.join(shared, "images"), paths.images);
  const others = await listKernels(resolvePaths({ ...process.env, FIREBREAK_HOME: shared }));
  const known = others.find(({ kind }) => kind === "stock");
  const own = path.join(paths.kernels, known?.id ?? "none");
  if (known !== undefined && !(await listKernels(paths)).some(({ id }) => id === known.id)) {
    await cp(known.folder, own, { recursive: true, filter: (file) => !path.basename(file).startsWith("initrd-") });
    await setCurrentKernel(paths, known.id);
  }
  return { stock: await ensureKernel(paths), small: others.find(({ kind }) => kind === "built") };
}

function connect(fixture: DaemonFixture): NestedHost {
  const exec = (argv: string[]) => fixture.cli(["vm", "exec", NAME, "--", ...argv], { timeoutMs: COMMAND_MS });
  const firebreak = (...args: string[]) => exec([`${PACKAGE}/bin/firebreak`, ...args]);
  const ok = async (...args: string[]) => {
    const result = await firebreak(...args);
    assert.equal(result.exitCode, 0, `firebreak ${args.join(" ")}: ${result.stderr}${result.stdout}`);
    return result;
  };
  const sh = async (script: string) => {
    const { exitCode, stdout, stderr } = await exec(["sh", "-c", script]);
    assert.equal(exitCode, 0, `${script}: ${stderr}`);
    return stdout;
  };
  const send = async (file: string, to: string) => void (await fixture.ok("vm", "cp", file, `${NAME}:${to}`));
  const keepLogs = async (folder: string) => {
    await mkdir(folder, { recursive: true });
    const keep = async (name: string, words: Promise<CliResult>) =>
      writeFile(path.join(folder, name), (await words.catch((error: Error) => ({ stdout: error.message }))).stdout);
    await keep("host-console.log", fixture.cli(["vm", "logs", NAME]));
    const script = `dmesg | tail -n 200; cd ${HOME}; for f in daemon.log $(find . -name '*.log' -size -1M); do echo "== $f"; tail -n 300 $f; done; ps ax`;
    await keep("guest-logs.log", exec(["sh", "-c", script]));
    await cp(fixture.paths.daemonLog, path.join(folder, "daemon.log"));
  };
  return { fixture, firebreak, ok, sh, send, keepLogs, close: () => fixture.close() };
}

/** What `npm pack` publishes, with what it depends on. The guest's own Node runs it. */
async function sendPackage(fixture: DaemonFixture): Promise<void> {
  const folder = await mkdtemp(path.join(fixture.folder, "pack-"));
  const { stdout } = await runCommand("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
    cwd: PACKAGE_ROOT,
  });
  const [packed] = JSON.parse(stdout) as [{ filename: string }];
  await untar(fixture, ["cat", path.join(folder, packed.filename)], `-xz -C ${PACKAGE} --strip-components=1`);
  const listed = await runCommand("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: PACKAGE_ROOT,
    allowFailure: true,
  });
  const modules = listed.stdout
    .split("\n")
    .filter((each) => each.includes("/node_modules/") && !each.includes("/node_modules/node-linux-"))
    .map((each) => path.relative(PACKAGE_ROOT, each));
  await untar(fixture, ["tar", "-c", "-C", PACKAGE_ROOT, ...new Set(modules)], `-x -C ${PACKAGE}`);
}

/** One kernel without the initrds that were made for other agents, and the image `debian`. */
async function sendHome(fixture: DaemonFixture, shared: string, kernel: Kernel): Promise<void> {
  const digest = (await readFile(path.join(shared, "images", "tags", "debian"), "utf8")).trim();
  const image = `images/${digest.replace("sha256:", "").slice(0, 16)}`;
  const skip = ["--exclude=initrd-*"];
  await untar(fixture, ["tar", "-c", "-C", shared, ...skip, "images/tags/debian", image], `-x -C ${HOME}`);
  const kernels = path.dirname(path.dirname(kernel.folder));
  await untar(fixture, ["tar", "-c", "-C", kernels, ...skip, `kernels/${kernel.id}`], `-x -C ${HOME}`);
  const exec = ["vm", "exec", NAME, "--", "sh", "-c", `printf %s ${kernel.id} > ${HOME}/kernels/current`];
  await fixture.ok(...exec);
}

/** What a program of this host prints, unpacked in the guest. */
async function untar(fixture: DaemonFixture, program: string[], args: string): Promise<void> {
  const [command = "", ...rest] = program;
  const from = spawn(command, rest, { stdio: ["ignore", "pipe", "inherit"] });
  const script = `mkdir -p ${PACKAGE} ${HOME} && chmod 700 ${HOME} && tar ${args}`;
  const to = spawn(fixture.program, ["vm", "exec", NAME, "--", "sh", "-c", script], {
    env: fixture.env,
    stdio: [from.stdout, "inherit", "inherit"],
  });
  const [[sent], [taken]] = await Promise.all([once(from, "exit"), once(to, "exit")]);
  assert.deepEqual([sent, taken], [0, 0], `${program.join(" ")} could not be sent`);
}

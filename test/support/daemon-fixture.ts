import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, cp, lchown, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DaemonClient } from "../../src/client/daemon-client.ts";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { hasCode } from "./has-code.ts";

/** How long processes may take to go once they have been told to, ms. */
const END_DEADLINE_MS = 10_000;

export interface CliResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  input?: string | Buffer;
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
}

/** A firebreak installation of a test's own: real CLI, daemon, VMM and guest agent. */
export interface DaemonFixture {
  /** A temporary folder that goes with the fixture. */
  folder: string;
  paths: FirebreakPaths;
  /** The environment in which programs use this installation. */
  env: NodeJS.ProcessEnv;
  /** The program, as users start it. */
  program: string;
  client: DaemonClient;
  /** Runs the CLI to its end. */
  cli: (args: string[], options?: CliOptions) => Promise<CliResult>;
  /** The same; fails unless it ends with 0. */
  ok: (...args: string[]) => Promise<CliResult>;
  /** What it prints with --json. */
  json: <T>(...args: string[]) => Promise<T>;
  /** Deletes all VMs, ends the daemon, removes the folder. Fails when a process or a socket is left. */
  close: () => Promise<void>;
}

/**
 * Makes an installation with an empty home, and starts its daemon. Images and kernels are those of $FIREBREAK_TEST_HOME
 * (default: ~/.cache/firebreak-test), which keeps them between runs.
 */
export async function startDaemonFixture(
  options: {
    env?: NodeJS.ProcessEnv;
    /** No images but those that the test makes, and nobody else's. */
    hasOwnImages?: boolean;
    /** What the CLI is run by, and with that the daemon: a program that goes on as another one. */
    within?: string[];
    /** The user whose installation it is; that of the test by default. It has copies of kernels and images, which may be where it cannot go. */
    uid?: number;
  } = {},
): Promise<DaemonFixture> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "fb-"));
  // VMMs of a root daemon run as users of their own, which must reach their sockets below.
  await chmod(folder, 0o711);
  const home = path.join(folder, "home");
  await mkdir(home, { mode: 0o700 });
  const shared = path.resolve(process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test"));
  for (const name of options.hasOwnImages ? ["kernels"] : ["images", "kernels"]) {
    await mkdir(path.join(shared, name), { recursive: true });
    if (options.uid === undefined) await symlink(path.join(shared, name), path.join(home, name));
    else await cp(path.join(shared, name), path.join(home, name), { recursive: true });
  }
  if (options.uid !== undefined) await giveTo(folder, options.uid);
  const own = options.uid === undefined ? {} : { HOME: folder, XDG_RUNTIME_DIR: undefined };
  const env = {
    ...process.env,
    ...own,
    ...options.env,
    FIREBREAK_HOME: home,
    FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
  };
  const paths = resolvePaths(env);
  const program = path.join(PACKAGE_ROOT, "bin", "firebreak");
  const client = new DaemonClient(paths.socket);
  const asUser =
    options.uid === undefined
      ? []
      : ["setpriv", `--reuid=${options.uid}`, `--regid=${options.uid}`, "--clear-groups", "--inh-caps=-all"];
  const [first = program, ...rest] = [...asUser, ...(options.within ?? []), program];
  const cli = (args: string[], cliOptions: CliOptions = {}) =>
    runProgram(first, [...rest, ...args], { ...cliOptions, env: { ...env, ...cliOptions.env } });
  const ok = async (...args: string[]) => {
    const result = await cli(args);
    assert.equal(result.exitCode, 0, `${args.join(" ")}: ${result.stderr}`);
    return result;
  };
  const json = async <T>(...args: string[]) => JSON.parse((await ok(...args, "--json")).stdout) as T;
  const close = () => closeFixture(folder, paths, client);
  const started = await cli(["daemon", "start"]);
  if (started.exitCode !== 0) {
    await close().catch(() => {});
    assert.fail(`the daemon does not start: ${started.stderr}`);
  }
  return { folder, paths, env, program, client, cli, ok, json, close };
}

async function giveTo(folder: string, uid: number): Promise<void> {
  await chown(folder, uid, uid);
  for (const entry of await readdir(folder, { recursive: true })) await lchown(path.join(folder, entry), uid, uid);
}

export function runProgram(program: string, args: string[], options: CliOptions): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: options.env ?? process.env, stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {}); // a program may end before it has read all
    child.stdin.end(options.input ?? "");
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 180_000);
    child.once("error", reject);
    child.once("close", (exitCode) => {
      clearTimeout(timer);
      resolve({
        exitCode,
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8"),
      });
    });
  });
}

async function closeFixture(folder: string, paths: FirebreakPaths, client: DaemonClient): Promise<void> {
  try {
    if (existsSync(paths.socket)) {
      const vms = await client.vms.list().catch(async (cause: unknown) => {
        throw new Error(`the daemon is gone, and its last words are: ${await lastWords(paths)}`, { cause });
      });
      // Some go by themselves meanwhile, such as those of a session that has just ended.
      for (const { id } of vms)
        await client.vms.delete(id).catch((error: unknown) => {
          if (!hasCode("VM_NOT_FOUND")(error)) throw error;
        });
      await client.shutdown();
    }
    assert.deepEqual(await waitForProcessesToEnd(folder), [], "processes are left behind");
  } finally {
    for (const { pid } of await listProcesses(folder)) killQuietly(pid);
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the daemon has printed, and the end of its log. */
async function lastWords({ home }: FirebreakPaths): Promise<string> {
  const read = (name: string) => readFile(path.join(home, name), "utf8").catch(() => "");
  return `${await read("daemon-start.log")}\n${(await read("daemon.log")).slice(-2_000)}`;
}

async function waitForProcessesToEnd(folder: string) {
  const deadline = Date.now() + END_DEADLINE_MS;
  for (;;) {
    const left = await listProcesses(folder);
    if (left.length === 0 || Date.now() > deadline) return left;
    await delay(50);
  }
}

/** Live processes of the fixture: those that have its folder in their command line, environment or working directory. */
export async function listProcesses(folder: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const read = (name: string) => readFile(`/proc/${entry}/${name}`, "utf8").catch(() => "");
    const [command, environment, cwd, status] = await Promise.all([
      read("cmdline"),
      read("environ"),
      readlink(`/proc/${entry}/cwd`).catch(() => ""),
      read("stat"),
    ]);
    const isZombie = status.slice(status.lastIndexOf(")") + 2).startsWith("Z");
    if (isZombie || ![command, environment, cwd].some((text) => text.includes(folder))) continue;
    found.push({ pid, command: command.replaceAll("\0", " ").trim() });
  }
  return found;
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

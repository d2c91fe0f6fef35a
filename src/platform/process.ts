import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { access, constants, readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  timeoutMs?: number;
  /** Each line of stdout and stderr as it comes, for progress. */
  onLine?: (line: string) => void;
  /** Told the process's id once it runs, for whoever looks at how far it is. */
  onSpawn?: (pid: number) => void;
  /** Do not throw when the exit code is not 0. */
  allowFailure?: boolean;
  /** Its standard input. Should it throw, the program is ended and the error is the caller's. */
  input?: AsyncIterable<Uint8Array>;
  /** How much of each of its streams is kept, from the end; default 256 KiB. */
  keptOutputBytes?: number;
  /** Descriptors that it gets besides, from 3 on. */
  fds?: number[];
}

/** At most this much of each stream of a host program is kept; the rest is dropped from the front. */
const KEPT_OUTPUT_BYTES = 256 * 1024;

/** Runs a host program to its end. Throws TOOL_NOT_FOUND, TOOL_FAILED (with the last line it printed) or OPERATION_CANCELED. */
export async function runCommand(
  program: string,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const stdin = options.input === undefined ? "ignore" : "pipe";
  const spawnOptions: SpawnOptions = { stdio: [stdin, "pipe", "pipe", ...(options.fds ?? [])], detached: true };
  if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
  if (options.env !== undefined) spawnOptions.env = options.env;
  const child = spawn(program, args, spawnOptions);
  if (child.pid !== undefined) options.onSpawn?.(child.pid);
  const stdout = collectOutput(child.stdout, options.onLine, options.keptOutputBytes);
  const stderr = collectOutput(child.stderr, options.onLine);
  const fed = options.input === undefined ? undefined : feed(child, options.input);
  const { exitCode, reason } = await waitForExit(child, program, options);
  const inputError = await fed;
  if (inputError !== undefined) throw inputError;
  const result = { exitCode, stdout: stdout(), stderr: stderr() };
  if (reason === "aborted") throw new FirebreakError("OPERATION_CANCELED", `${program} was cancelled`);
  if (reason === "timeout") {
    throw new FirebreakError("DEADLINE_EXCEEDED", `${program} took longer than ${options.timeoutMs} ms`);
  }
  if (exitCode !== 0 && !options.allowFailure) {
    const lines = `${result.stdout}\n${result.stderr}`.trim().split("\n");
    throw new FirebreakError("TOOL_FAILED", `${program} exited with ${exitCode}: ${lines.slice(-3).join(" | ")}`, {
      details: { program, exitCode },
    });
  }
  return result;
}

/** Gives a program its input. Resolves to what went wrong with the input itself; a program that does not read it all tells by its exit. */
async function feed(child: ChildProcess, input: AsyncIterable<Uint8Array>): Promise<unknown> {
  const { stdin } = child;
  if (stdin === null) return undefined;
  let inputError: unknown;
  const watched = async function* () {
    try {
      yield* input;
    } catch (error) {
      // What the program does not read is thrown in here, too.
      if (stdin.destroyed) return;
      inputError = error;
      // It must not take what it has got so far for the whole.
      if (child.pid !== undefined) signalProcessGroup(child.pid, "SIGKILL");
      throw error;
    }
  };
  await pipeline(Readable.from(watched()), stdin).catch(() => {});
  return inputError;
}

/** Passes a stream through a program. Throws TOOL_NOT_FOUND or TOOL_FAILED, or what the input threw. */
export async function* filterThrough(
  program: string,
  args: string[],
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
  yield* outputOf(child, child.stdout, program, feed(child, input));
}

/** What a program prints, as a stream. Throws TOOL_NOT_FOUND or TOOL_FAILED. */
export async function* readCommand(program: string, args: string[]): AsyncGenerator<Buffer> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  yield* outputOf(child, child.stdout, program);
}

async function* outputOf(
  child: ChildProcess,
  stdout: Readable,
  program: string,
  fed: Promise<unknown> = Promise.resolve(undefined),
): AsyncGenerator<Buffer> {
  const stderr = collectOutput(child.stderr);
  const exited = waitForExit(child, program, {});
  exited.catch(() => {});
  let hasEnded = false;
  try {
    yield* stdout as AsyncIterable<Buffer>;
    const { exitCode } = await exited;
    hasEnded = true;
    const inputError = await fed;
    if (inputError !== undefined) throw inputError;
    if (exitCode !== 0)
      throw new FirebreakError("TOOL_FAILED", `${program} exited with ${exitCode}: ${stderr().trim()}`);
  } finally {
    // A reader that has had enough.
    if (child.pid !== undefined && !hasEnded) signalProcessGroup(child.pid, "SIGKILL");
  }
}

/** Runs a program on this process's own streams and terminal, to its end. Returns its exit code, 128 + n of a signal. Throws TOOL_NOT_FOUND. */
export async function runAttached(program: string, args: string[], options: { hint: string }): Promise<number> {
  const child = spawn(program, args, { stdio: "inherit" });
  // The terminal sends it to both; it is the program's to act on.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) =>
        reject(
          new FirebreakError("TOOL_NOT_FOUND", `${program} could not be started: ${error.message}`, {
            cause: error,
            hint: options.hint,
          }),
        ),
      );
      child.once("close", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : os.constants.signals[signal])),
      );
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}

function waitForExit(child: ChildProcess, program: string, options: CommandOptions) {
  return new Promise<{ exitCode: number; reason: "exited" | "aborted" | "timeout" }>((resolve, reject) => {
    let reason: "exited" | "aborted" | "timeout" = "exited";
    // The whole group goes: package tools start helpers of their own.
    const end = (why: "aborted" | "timeout") => {
      reason = why;
      if (child.pid !== undefined) signalProcessGroup(child.pid, "SIGKILL");
    };
    const onAbort = () => end("aborted");
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => end("timeout"), options.timeoutMs);
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const done = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      done();
      reject(
        error.code === "ENOENT"
          ? new FirebreakError("TOOL_NOT_FOUND", `${program} is not installed`, {
              hint: "In a checkout 'make setup' installs what firebreak needs; 'firebreak doctor' lists what is missing.",
              details: { program },
            })
          : new FirebreakError("TOOL_FAILED", `${program} could not be started: ${error.message}`, { cause: error }),
      );
    });
    child.once("close", (code, signal) => {
      done();
      resolve({ exitCode: code ?? (signal === null ? 1 : 128), reason });
    });
  });
}

function collectOutput(
  stream: NodeJS.ReadableStream | null,
  onLine?: (line: string) => void,
  keptBytes = KEPT_OUTPUT_BYTES,
): () => string {
  let kept = "";
  let partial = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    kept = (kept + chunk).slice(-keptBytes);
    if (onLine === undefined) return;
    const lines = (partial + chunk).split(/\r?\n|\r/);
    partial = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  return () => kept;
}

export interface DetachedProcessOptions {
  /** Each entry becomes one descriptor of the child, from 0 on. */
  fds: ("ignore" | number)[];
  uid?: number;
  gid?: number;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** A process that outlives the daemon, named so that a reused pid is never taken for it. */
export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/PID/stat: start time in clock ticks since the host's boot (proc(5)). */
  startTicks: number;
  /** /proc/sys/kernel/random/boot_id: start ticks mean nothing after a reboot. */
  bootId: string;
}

/** Starts a process in a session of its own that is not ended with ours. Resolves once it has been started. */
export async function spawnDetached(
  program: string,
  args: string[],
  options: DetachedProcessOptions,
): Promise<{ identity: ProcessIdentity; exited: Promise<number | null> }> {
  const spawnOptions: SpawnOptions = { stdio: options.fds, detached: true };
  if (options.uid !== undefined) spawnOptions.uid = options.uid;
  if (options.gid !== undefined) spawnOptions.gid = options.gid;
  if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
  if (options.env !== undefined) spawnOptions.env = options.env;
  const child = spawn(program, args, spawnOptions);
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  await awaitSpawn(child, program);
  child.unref();
  const pid = child.pid as number; // set: 'spawn' has been emitted
  const identity = (await identifyProcess(pid)) ?? { pid, startTicks: 0, bootId: await readBootId() };
  return { identity, exited };
}

/** The identity of a live process, or undefined when there is none (a zombie counts as none). */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // The name in field 2 may hold spaces and brackets: fields are counted from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // The first thread of a process that ends may be a zombie while others still have its memory: those are counted in field 20.
  const isGone = fields[0] === "X" || (fields[0] === "Z" && Number(fields[17]) <= 1);
  if (isGone) return undefined;
  return { pid, startTicks: Number(fields[19]), bootId: await readBootId() };
}

export async function isSameProcessAlive(identity: ProcessIdentity): Promise<boolean> {
  const current = await identifyProcess(identity.pid);
  return current !== undefined && current.startTicks === identity.startTicks && current.bootId === identity.bootId;
}

/** Live processes whose command line the predicate accepts. */
export async function findProcesses(accept: (argv: string[]) => boolean): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const line = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    if (line === "" || !accept(line.split("\0"))) continue;
    const identity = await identifyProcess(Number(entry));
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** Signals the very process that was started, never one that got its pid later. */
export async function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isSameProcessAlive(identity))) return false;
  return trySignal(identity.pid, signal);
}

function signalProcessGroup(pid: number, signal: NodeJS.Signals): boolean {
  return trySignal(-pid, signal);
}

function trySignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

let bootId: string | undefined;

/** The host's boot, which is the same for as long as this process lives. */
async function readBootId(): Promise<string> {
  bootId ??= (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  return bootId;
}

/** The absolute path of a program on PATH (or in the administrator's directories), or undefined. */
export async function findProgram(name: string, env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  if (name.includes("/")) return (await isExecutable(name)) ? name : undefined;
  const folders = `${env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`.split(":").filter((folder) => folder !== "");
  for (const folder of folders) {
    const candidate = path.join(folder, name);
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** A host program of ours that answers lines with lines and ends with us, since it ends with its input. */
export interface Companion {
  pid: number;
  /** Its next line. Throws TOOL_FAILED with its last words when it has ended instead. */
  readLine(): Promise<string>;
  writeLine(line: string): void;
  /** Ends its input, and so itself. */
  end(): void;
}

/** Starts a companion. Throws TOOL_NOT_FOUND or TOOL_FAILED when it cannot be started. */
export async function startCompanion(program: string, args: string[]): Promise<Companion> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const words = collectOutput(child.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.on("error", () => {}); // its end is heard by whoever reads its next line
  await awaitSpawn(child, program);
  return {
    pid: child.pid as number, // set: 'spawn' has been emitted
    readLine: async () => {
      const next = await lines.next();
      if (next.done !== true) return next.value;
      throw new FirebreakError(
        "TOOL_FAILED",
        `${path.basename(program)} ended: ${words().trim() || "it printed nothing"}`,
      );
    },
    writeLine: (line) => void child.stdin.write(`${line}\n`),
    end: () => void child.stdin.end(),
  };
}

function awaitSpawn(child: ChildProcess, program: string): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new FirebreakError(
          error.code === "ENOENT" ? "TOOL_NOT_FOUND" : "TOOL_FAILED",
          `${program} could not be started: ${error.message}`,
          { cause: error },
        ),
      ),
    );
  });
}

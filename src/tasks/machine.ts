import { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { EgressEvent } from "../contract/egress.ts";
import { FRAME, FrameDecoder } from "../contract/frames.ts";
import { NO_NETWORK } from "../contract/policy.ts";
import { TASK_LABEL } from "../contract/task.ts";
import { type Vm, vmCreateSchema } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { type ExecExit, execSkippedSchema } from "../guest/protocol.ts";
import { orGiveUp } from "../platform/abort.ts";
import { relayAttach, relayUnattended } from "../vms/exec-relay.ts";
import type { WorkOptions } from "../vms/ports.ts";
import { runCommand } from "../vms/run-command.ts";
import type { VmService } from "../vms/service.ts";
import type { AgentLaunch } from "./agents/agent.ts";
import { explainCloneFailure, gitMissing } from "./clone-failure.ts";
import type { OutputStream } from "./output-reader.ts";
import type { TaskRecord } from "./task-store.ts";
import type { GitSource, TaskVm } from "./wanted.ts";
import { noteStart, writeDiff } from "./workspace-diff.ts";

/** Output that a guest keeps for a daemon that is away; the command waits when it is full. */
const SPOOL_BYTES = 8 * 1024 * 1024;
const KILL_GRACE_MS = 5_000;
/** How long after TERM and KILL a guest may take to say so before its VM is given up. */
const KILL_DEADLINE_MS = 15_000;
const PREPARE_TIMEOUT_MS = 10 * 60_000;
const TAIL_LENGTH = 2_000;
/** A command that does nothing. */
const WARM_UP = { id: "warm-up", argv: ["true"], timeoutMs: 10_000 };
/** Between two tries to be attached again, ms. */
const REATTACH_MS = 500;
/** Tries before a guest that runs and does not answer is given up. */
const MAX_REATTACHES = 20;

/** Who hears a command's output; what `onOutput` returns is waited for, and the command with it. */
export interface OutputSink {
  /** Bytes of both streams that have been taken, from the command's start. */
  readonly offset: number;
  onOutput(stream: OutputStream, bytes: Buffer): Promise<void>;
  onSkipped(bytes: number): Promise<void>;
}

/** VMs as tasks need them. */
export class TaskMachines {
  readonly #vms: VmService;
  readonly #triesOf: (vmId: string) => readonly EgressEvent[];

  /** `triesOf`: what a VM has tried to reach of late, the newest last. */
  constructor(vms: VmService, triesOf: (vmId: string) => readonly EgressEvent[]) {
    this.#vms = vms;
    this.#triesOf = triesOf;
  }

  /** A VM that runs, for one attempt of a task. Throws what `VmService.create` throws; VM_MEMORY_EXHAUSTED says to wait. */
  create(record: TaskRecord, wanted: TaskVm, options: WorkOptions): Promise<Vm> {
    const { workspace, ...rest } = wanted;
    return this.#vms.create(
      vmCreateSchema.parse({
        network: NO_NETWORK,
        ...rest,
        ...(workspace === undefined ? {} : { workspace }),
        name: `task-${record.id}-${record.attempt}`,
        labels: { ...record.request.labels, [TASK_LABEL]: record.id },
      }),
      options,
    );
  }

  /** Those of a task's VMs that are there, of whatever state. */
  find(task: string): Vm[] {
    return this.#vms.list().filter(({ labels }) => labels[TASK_LABEL] === task);
  }

  /** All VMs of tasks. */
  list(): Vm[] {
    return this.#vms.list().filter(({ labels }) => labels[TASK_LABEL] !== undefined);
  }

  /** Writes files and makes directories that the task's work begins with. */
  async prepare(
    vm: string,
    {
      files,
      directories,
      git,
      workspace,
    }: {
      files: Record<string, Buffer>;
      directories: string[];
      git: GitSource | undefined;
      /** The directory that it works on, when it is given one. */
      workspace: string | undefined;
    },
    options: WorkOptions & { onText: (text: string) => void },
  ): Promise<void> {
    const { signal } = options;
    const wait = signal === undefined ? {} : { signal };
    await this.#vms.use(vm, options, async ({ client }) => {
      if (git !== undefined) await this.#clone(vm, client, git, options);
      for (const directory of directories)
        await client.makeDirectory(directory, { parents: true }, wait).catch((error: unknown) => {
          if (toFirebreakError(error).code !== "FILE_ALREADY_EXISTS") throw error;
        });
      for (const [path, content] of Object.entries(files))
        await client.writeFile(path, Readable.from([content]), { parents: true, mode: "0600" }, wait);
      if (workspace !== undefined) await noteStart(workspace, this.#diffOptions(vm, client, signal));
    });
  }

  /** Has an emulated machine translate what starting a command takes, while its task waits anyway. Never throws. */
  async warmUp(vm: string, signal: AbortSignal): Promise<void> {
    const run = async ({ client }: { client: GuestClient }) => {
      await runCommand(WARM_UP, { client, signal, explainLoss: () => this.#vms.explainLoss(vm), tailLength: 0 });
      // The task is not to find a command that it did not run.
      await client.execDelete(WARM_UP.id);
    };
    // An image without it is none the worse for that, and a machine that fails is found out by its task.
    await this.#vms.use(vm, { signal }, run).catch(() => {});
  }

  async #clone(
    vm: string,
    client: GuestClient,
    { url, ref, path }: GitSource,
    { signal, onText }: WorkOptions & { onText: (text: string) => void },
  ): Promise<void> {
    const run = async (argv: string[]) => {
      const spec = { argv, env: { HOME: "/root", GIT_TERMINAL_PROMPT: "0" }, timeoutMs: PREPARE_TIMEOUT_MS };
      const explainLoss = () => this.#vms.explainLoss(vm);
      const { exit, tail } = await runCommand(spec, {
        ...{ client, signal, explainLoss, tailLength: TAIL_LENGTH, onText },
      }).catch((error: unknown) => {
        throw toFirebreakError(error).code === "COMMAND_NOT_FOUND" ? gitMissing(error) : error;
      });
      if (exit?.exitCode !== 0) throw explainCloneFailure({ tail, ref, tries: this.#triesOf(this.#vms.get(vm).id) });
    };
    await run(["git", "clone", "--quiet", "--", url, path]);
    // A branch that the clone has of its origin alone becomes one of its own by this.
    if (ref !== "HEAD") await run(["git", "-C", path, "checkout", "--quiet", ref, "--"]);
  }

  /**
   * Starts the task's command, or goes on with one that an earlier daemon has started, and hears it to its end. The command waits while nobody hears it. An
   * abort lets go of it and leaves it running. Throws TASK_LOST when the VM below it has failed.
   */
  async follow(
    vm: string,
    id: string,
    launch: () => Promise<AgentLaunch & { cwd: string }>,
    sink: OutputSink,
    {
      signal,
      timeoutMs,
      isNew,
    }: {
      signal: AbortSignal;
      timeoutMs: number;
      /** Nobody has tried to start it: an earlier daemon may have, or have died before that. */
      isNew: boolean;
    },
  ): Promise<ExecExit> {
    let isStarted = false;
    let mayExist = !isNew;
    for (let tries = 0; ; tries++) {
      const before = sink.offset;
      const fault = new AbortController();
      try {
        const exit = await this.#vms.use(vm, { signal }, async ({ client }) => {
          const output = toWritable(sink, (error) => fault.abort(error));
          const options = {
            client,
            input: (async function* () {})(),
            output,
            signal: AbortSignal.any([signal, fault.signal]),
            explainLoss: () => this.#vms.explainLoss(vm),
            killGraceMs: KILL_GRACE_MS,
          };
          isStarted ||= mayExist && (await exists(client, id));
          mayExist = true;
          try {
            if (isStarted) return await relayAttach(id, sink.offset, true, options);
            const { argv, env, cwd } = await launch();
            const spec = { id, argv, env, cwd, timeoutMs, spoolBytes: SPOOL_BYTES, detach: "block" } as const;
            return await relayUnattended(spec, options, () => {
              isStarted = true;
            });
          } finally {
            // What has come is not all taken yet, and both an end and another try go by what is.
            await orGiveUp(finished(output.end()), signal).catch(() => {});
          }
        });
        if (fault.signal.aborted) throw fault.signal.reason;
        if (exit !== undefined) return exit;
        throw new FirebreakError("CHANNEL_LOST", "the command's output ended before the command did");
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        if (fault.signal.aborted) throw fault.signal.reason;
        const error = toFirebreakError(thrown);
        if (sink.offset > before) tries = 0;
        // The daemon's own connection has broken; the command goes on, and so does its output.
        if (error.code === "CHANNEL_LOST" || error.code === "GUEST_UNREACHABLE") {
          if (tries < MAX_REATTACHES) {
            await sleep(REATTACH_MS, undefined, { signal });
            continue;
          }
        } else if (!LOSSES.has(error.code)) throw error;
        throw new FirebreakError("TASK_LOST", `the task's VM failed: ${error.message}`, { cause: error });
      }
    }
  }

  /** Tells a guest to end a command's processes: `none` when it has no such command, `silent` when it does not answer. */
  async kill(vm: string, id: string): Promise<"told" | "none" | "silent"> {
    const signal = AbortSignal.timeout(KILL_DEADLINE_MS);
    return this.#vms
      .peek(vm, ({ client }) => client.execKill(id, KILL_GRACE_MS, { signal }))
      .then(
        () => "told" as const,
        (error: unknown) => (toFirebreakError(error).code === "EXEC_NOT_FOUND" ? "none" : "silent"),
      );
  }

  /** Writes what has changed in a workspace to a file of its VM, where it is a repository. */
  async writeDiff(vm: string, workspace: string, file: string, signal: AbortSignal): Promise<void> {
    await this.#vms.use(vm, { signal }, ({ client }) =>
      writeDiff(workspace, file, this.#diffOptions(vm, client, signal)),
    );
  }

  #diffOptions(vm: string, client: GuestClient, signal: AbortSignal | undefined) {
    return { client, signal, explainLoss: () => this.#vms.explainLoss(vm) };
  }

  /** Hands a directory of the VM to `work`, as a tar; undefined when there is none. */
  async readDirectory<T>(
    vm: string,
    path: string,
    signal: AbortSignal,
    work: (archive: Readable) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#vms.use(vm, { signal }, async ({ client }) => {
      const info = await client.stat(path, true, { signal }).catch((error: unknown) => {
        if (toFirebreakError(error).code !== "FILE_NOT_FOUND") throw error;
      });
      // Read at once: a stream that ends before anybody reads it is one that broke off.
      return info?.type === "directory" ? work(await client.readArchive(path, { signal })) : undefined;
    });
  }

  /** Whether a VM is there and runs. */
  isRunning(vm: string): boolean {
    try {
      return ["running", "paused", "suspended", "suspending", "starting"].includes(this.#vms.get(vm).state);
    } catch {
      return false;
    }
  }

  /** Throws WORKSPACE_NOT_SYNCED when what it worked on cannot be brought back. */
  async delete(vm: string): Promise<void> {
    await this.#vms.delete(vm).catch((error: unknown) => {
      if (toFirebreakError(error).code !== "VM_NOT_FOUND") throw error;
    });
  }
}

/** What says that the VM is not there any more, or is not what it was. */
const LOSSES = new Set([
  "VM_CRASHED",
  "VM_NOT_FOUND",
  "VM_STATE_CONFLICT",
  "VM_BOOT_FAILED",
  "GUEST_PROTOCOL_ERROR",
  "EXEC_NOT_FOUND",
]);

async function exists(client: GuestClient, id: string): Promise<boolean> {
  return client.execGet(id).then(
    () => true,
    (error: unknown) => {
      if (toFirebreakError(error).code === "EXEC_NOT_FOUND") return false;
      throw error;
    },
  );
}

/** Takes the frames of a command's output. */
function toWritable(sink: OutputSink, onFault: (error: Error) => void): Writable {
  const decoder = new FrameDecoder();
  const take = async (chunk: Buffer) => {
    for (const { type, payload } of decoder.push(chunk)) {
      if (type === FRAME.stdout) await sink.onOutput("stdout", payload);
      else if (type === FRAME.stderr) await sink.onOutput("stderr", payload);
      else if (type === FRAME.skipped)
        await sink.onSkipped(execSkippedSchema.parse(JSON.parse(payload.toString("utf8"))).bytes);
    }
  };
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      take(chunk).then(
        () => done(),
        (error: unknown) => done(toFirebreakError(error)),
      );
    },
  }).on("error", onFault);
}

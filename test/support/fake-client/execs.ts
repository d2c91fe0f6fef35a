import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { ExecExit } from "../../../src/guest/protocol.ts";
import type { GuestExec, VmClient } from "../../../src/mcp/vm-client.ts";
import { type FakeWorld, findVm } from "./world.ts";

/** What a fake command writes, one chunk a step. */
export interface FakeRun {
  output?: { type: "stdout" | "stderr"; bytes: Buffer }[];
  exit?: Partial<ExecExit>;
  /** Goes on until it is closed. */
  isEndless?: boolean;
  /** Breaks off with this after its output. */
  failure?: FirebreakError;
}

const EXIT: ExecExit = {
  exitCode: 0,
  signal: null,
  timedOut: false,
  durationMs: 12,
  userMs: 0,
  systemMs: 0,
  maxRssBytes: 0,
  outputBytes: 0,
  stdinBytes: 0,
};

/** Commands that all do the same. */
export function createFakeExecs(world: FakeWorld, run: FakeRun): VmClient["execs"] {
  const running = new Set<() => void>();
  world.endExecs = () => {
    for (const end of running) end();
  };
  const get: VmClient["execs"]["get"] = async (vm, id) => {
    findVm(world, vm);
    if (id !== "exec-1") throw new FirebreakError("EXEC_NOT_FOUND", `no exec has the id '${id}'`);
    const outputBytes = (run.output ?? []).reduce((sum, { bytes }) => sum + bytes.length, 0);
    const end = {
      state: run.isEndless ? "running" : "exited",
      exit: run.isEndless ? null : { ...EXIT, ...run.exit },
    } as const;
    return { id, argv: ["sh", "-c", "x"], pid: 42, startedAtMs: 0, outputBytes, spooledFrom: 0, tty: false, ...end };
  };
  return {
    start: async (vm, spec) => {
      const { name } = findVm(world, vm);
      world.specs.push(spec);
      const onClose = () => {
        world.closedExecs++;
      };
      return Object.assign(createFakeExec(run, onClose, running), { vmName: name });
    },
    attach: async () => createFakeExec(run, () => {}, running),
    list: async (vm) => [await get(vm, "exec-1")],
    get,
    signal: async () => {},
    kill: async () => {},
  };
}

function createFakeExec(run: FakeRun, onClose: () => void, running: Set<() => void>): GuestExec {
  let isClosed = false;
  let hangUp = () => {};
  const hungUp = new Promise<void>((resolve) => {
    hangUp = resolve;
  });
  const exec: GuestExec = {
    vmName: undefined,
    started: undefined,
    exit: undefined,
    onStarted: () => {},
    writeStdin: async () => {},
    endStdin: () => {},
    close: () => {
      if (!isClosed) onClose();
      isClosed = true;
      hangUp();
    },
    output: async function* () {
      exec.started = { id: "exec-1", pid: 42, offset: 0 };
      exec.onStarted(exec.started);
      for (const output of run.output ?? []) yield output;
      if (run.failure !== undefined) throw run.failure;
      if (run.isEndless) {
        const ended = new Promise<boolean>((resolve) => running.add(() => resolve(true)));
        const isEnded = await Promise.race([ended, hungUp.then(() => false)]);
        if (!isEnded) throw new FirebreakError("DAEMON_UNAVAILABLE", "the daemon broke the connection off");
        running.clear();
      }
      exec.exit = { ...EXIT, ...run.exit };
    },
  };
  return exec;
}

import { setTimeout as sleep } from "node:timers/promises";
import type { FinishReason, TaskEventBody } from "../contract/task-event.ts";
import { formatUsd } from "../contract/usd.ts";
import { type FirebreakError, isHostDiskFull, toFirebreakError } from "../errors/firebreak-error.ts";
import type { ExecExit } from "../guest/protocol.ts";
import type { AgentReader, TaskAgent } from "./agents/agent.ts";
import type { TaskLog } from "./log/task-log.ts";
import type { OutputSink, TaskMachines } from "./machine.ts";
import { OutputReader, type OutputStream } from "./output-reader.ts";
import type { OutputTail } from "./tail.ts";
import type { TaskPlan } from "./wanted.ts";

/** What has no line's end is shown once nothing has followed it for so long, ms. */
const PARTIAL_MS = 200;
/** Between two tries to write to a full disk, ms. */
const FULL_DISK_MS = 1_000;
/** Of the guest's own limit behind ours, ms: it ends the command when no daemon is there to. */
const GUEST_MARGIN_MS = 60_000;
/** A command that is not there yet is looked for again after this, ms. */
const KILL_AGAIN_MS = 500;
/** What has been told to end has this long, which is more than the grace that its guest gives it, ms. */
const KILL_TOLD_MS = 7_000;
const KILL_PATIENCE_MS = 30_000;

/** How a task's command has ended. */
export interface AttemptEnd {
  reason: FinishReason;
  exit?: ExecExit | undefined;
  message?: string | undefined;
}

export interface AttemptOptions {
  vm: string;
  execId: string;
  /** Nobody has tried to start the command before. */
  isNew: boolean;
  /** Asked for when the command is not there yet. */
  launch: () => Promise<TaskPlan["launch"]>;
  agent: TaskAgent;
  log: TaskLog;
  tail: OutputTail;
  machines: Pick<TaskMachines, "follow" | "kill">;
  /** When the work began, ms. */
  startedAtMs: number;
  timeoutMs: number;
  maxCostUsd: number | undefined;
  /** Of an agent that does not keep to a number itself. */
  maxTurns?: number | undefined;
  /** Hears what it has cost so far, US dollars: why it has to end for that, if it has. */
  overBudget?: ((costUsd: number) => string | undefined) | undefined;
  /** What all that has been used so far costs. */
  costOf: (reader: AgentReader) => number | undefined;
  /** The reader of an earlier daemon, as its log makes it. */
  reader: AgentReader | undefined;
  onError: (message: string, error: FirebreakError) => void;
}

/** The command of one attempt: heard to its end, and ended when its time, its budget or somebody's patience is over. */
export class Attempt implements OutputSink {
  readonly #options: AttemptOptions;
  readonly #output: OutputReader;
  readonly #letGo = new AbortController();
  #offset: number;
  #writing: Promise<void> = Promise.resolve();
  #partial: NodeJS.Timeout | undefined;
  #ending: { reason: FinishReason; message: string } | undefined;
  #isKilled = false;
  readonly #killed = Promise.withResolvers<void>();

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#output = new OutputReader(options.reader, options.log.position);
    this.#offset = options.log.position.offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Throws TASK_LOST when the machine has failed, OPERATION_CANCELED when `letGo` was called. */
  async run(): Promise<AttemptEnd> {
    const { vm, execId, launch, machines, startedAtMs, timeoutMs, isNew } = this.#options;
    // A clock that has been set back gives no more time than there is in all, nor more than a timer takes, which would end it at once.
    const left = Math.min(timeoutMs, startedAtMs + timeoutMs - Date.now());
    const timer = setTimeout(() => this.end("timeout", `it took more than ${timeoutMs / 1000} s`), Math.max(0, left));
    try {
      const exit = await Promise.race([
        machines.follow(vm, execId, launch, this, {
          signal: this.#letGo.signal,
          timeoutMs: timeoutMs + GUEST_MARGIN_MS,
          isNew,
        }),
        this.#killed.promise,
      ]);
      clearTimeout(this.#partial);
      await this.#flush(true);
      return this.#endOf(exit ?? undefined);
    } finally {
      clearTimeout(timer);
      clearTimeout(this.#partial);
      this.#letGo.abort();
    }
  }

  /** Leaves the command running: another daemon goes on with it. */
  letGo(): void {
    this.#letGo.abort();
  }

  /** Ends the command. The first reason counts. */
  end(reason: FinishReason, message: string): void {
    if (this.#ending !== undefined) return;
    this.#ending = { reason, message };
    void this.#kill();
  }

  /** Until the command has ended: it may not have begun yet, and a guest that does not answer, or says yes and does nothing, keeps its task's end from nobody. */
  async #kill(): Promise<void> {
    const { machines, vm, execId } = this.#options;
    for (const until = Date.now() + KILL_PATIENCE_MS; Date.now() < until; ) {
      const answer = await machines.kill(vm, execId);
      if (answer === "silent") break;
      await sleep(answer === "none" ? KILL_AGAIN_MS : KILL_TOLD_MS, undefined, { signal: this.#letGo.signal }).catch(
        () => {},
      );
      if (this.#letGo.signal.aborted) return;
    }
    if (!this.#letGo.signal.aborted) this.#giveUp();
  }

  #giveUp(): void {
    this.#isKilled = true;
    this.#killed.resolve();
    this.#letGo.abort();
  }

  async onOutput(stream: OutputStream, bytes: Buffer): Promise<void> {
    this.#offset += bytes.length;
    this.#output.push(stream, bytes);
    await this.#flush(false);
    this.#watchTurns();
    this.#watchBudget();
    clearTimeout(this.#partial);
    if (this.#output.pendingBytes > 0) this.#partial = setTimeout(() => void this.#flushPartial(), PARTIAL_MS);
  }

  async onSkipped(bytes: number): Promise<void> {
    const events: TaskEventBody[] = this.#output.skip(bytes);
    this.#offset += bytes;
    events.push({ type: "gap", bytes, reason: "the guest's spool no longer held it" });
    await this.#log(events);
  }

  /** A prompt is shown though its line has no end; an agent's event is none before it has one. */
  async #flushPartial(): Promise<void> {
    if (this.#options.reader !== undefined) return;
    await this.#flush(true, false).catch((error: unknown) =>
      this.#options.onError("output could not be logged", toFirebreakError(error)),
    );
  }

  #flush(all: boolean, isEnd = all): Promise<void> {
    return this.#log(this.#output.take(all, isEnd));
  }

  /** One after the other, and not given up for a full disk: the command waits meanwhile. */
  #log(events: readonly TaskEventBody[]): Promise<void> {
    const { log, tail, onError } = this.#options;
    if (events.length === 0) return this.#writing;
    const { position } = this.#output;
    for (const event of events) tail.add(event);
    const write = async () => {
      for (let isTold = false; ; isTold = true) {
        try {
          return void (await log.append(events, position));
        } catch (error) {
          if (!isHostDiskFull(error) || this.#isKilled) throw error;
          if (!isTold) onError("a task waits: the host's disk is full", toFirebreakError(error));
          await sleep(FULL_DISK_MS);
        }
      }
    };
    this.#writing = this.#writing.then(write);
    return this.#writing;
  }

  #watchTurns(): void {
    const { reader, maxTurns } = this.#options;
    if (reader === undefined || maxTurns === undefined || reader.turnsBegun <= maxTurns) return;
    this.end("budget", `it has taken ${maxTurns} turn${maxTurns === 1 ? "" : "s"}, and may take no more`);
  }

  #watchBudget(): void {
    const { reader, maxCostUsd, costOf, overBudget } = this.#options;
    if (reader === undefined || (maxCostUsd === undefined && overBudget === undefined)) return;
    const cost = costOf(reader);
    if (cost === undefined) return;
    if (maxCostUsd !== undefined && cost > maxCostUsd)
      this.end("budget", `it has cost ${formatUsd(cost)}, and may cost ${formatUsd(maxCostUsd)}`);
    const over = overBudget?.(cost);
    if (over !== undefined) this.end("budget", over);
  }

  #endOf(exit: ExecExit | undefined): AttemptEnd {
    if (this.#ending !== undefined) return { ...this.#ending, exit };
    const outcome = this.#options.reader?.outcome;
    const isFine = exit?.exitCode === 0;
    if (outcome !== undefined && (outcome.reason !== "completed" || isFine)) return { ...outcome, exit };
    if (exit?.timedOut === true) return { reason: "timeout", exit, message: "it took too long" };
    if (isFine) return { reason: "completed", exit };
    const how = exit?.signal ? `it was ended by ${exit.signal}` : `exit code ${exit?.exitCode ?? "unknown"}`;
    return { reason: "failed", exit, message: how };
  }
}

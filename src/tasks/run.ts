import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { TaskUsage } from "../contract/task.ts";
import type { Cost, FinishReason, TaskEvent, TaskEventBody, Tokens } from "../contract/task-event.ts";
import { DEFAULTS, type Vm } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { OnProgress } from "../vms/ports.ts";
import { addUsage } from "./add-usage.ts";
import type { AgentReader, TaskAgent } from "./agents/agent.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import type { UserBudgets } from "./budgets.ts";
import type { TaskLog } from "./log/task-log.ts";
import type { TaskLogs } from "./logs.ts";
import type { TaskMachines } from "./machine.ts";
import { replay } from "./replay.ts";
import { collectFiles } from "./results/collect.ts";
import type { ResultStorage } from "./results/storage.ts";
import { OutputTail } from "./tail.ts";
import type { TaskRecord, TaskStore } from "./task-store.ts";
import { type TaskPlan, workspacePathOf } from "./wanted.ts";
import { DIFF_NAME } from "./workspace-diff.ts";

/** How long fetching the files of an output directory may take, ms. */
const COLLECT_MS = 10 * 60_000;
/** Between two words of how making a task ready goes: what is ready sooner is told nothing of. */
const PROGRESS_MS = 1_000;

/** Timers take no more, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface RunDeps {
  store: TaskStore;
  logs: TaskLogs;
  machines: TaskMachines;
  storage: ResultStorage;
  /** For files that are on their way to the storage. */
  workFolder: string;
  agentOf: (name: string) => TaskAgent;
  /** What a task comes to, its agent's drive included, which is made when it is not there. */
  plan: (record: TaskRecord, options: { signal: AbortSignal; onText: (text: string) => void }) => Promise<TaskPlan>;
  costOf: (tokens: readonly Tokens[], reportedUsd: number | undefined, model: string | undefined) => Cost | undefined;
  budgets: UserBudgets;
  /** Waits for a place among those that work; `onWait` is called when there is none yet. */
  takePlace: (id: string, signal: AbortSignal, onWait: () => void) => Promise<void>;
  /** A task has got further. */
  onChange: (record: TaskRecord) => void;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** What a run came to: `waits` for memory, is to begin `again`, has `ended`, or was `left` for another daemon. */
export type RunEnd = "waits" | "again" | "ended" | "left";

/** A task that has begun, in one attempt: from its VM to its end. */
export class TaskRun {
  readonly #deps: RunDeps;
  readonly #id: string;
  readonly #abort = new AbortController();
  #attempt: Attempt | undefined;
  #isLeft = false;
  #isCancelled = false;
  #isLate = false;
  #deadline: NodeJS.Timeout | undefined;

  constructor(id: string, deps: RunDeps) {
    this.#id = id;
    this.#deps = deps;
  }

  /** Begins, or goes on where an earlier daemon was. Never throws. */
  async live(): Promise<RunEnd> {
    const { logs } = this.#deps;
    try {
      return await logs.use(this.#id, (log) => this.#live(log));
    } catch (error) {
      if (!this.#isLeft) this.#deps.log("a task is left as it is", { task: this.#id, error: describe(error) });
      return "left";
    }
  }

  cancel(): void {
    this.#isCancelled = true;
    // What has worked until now may still give up its files.
    if (this.#record().state === "collecting") this.#collecting.abort();
    if (this.#attempt === undefined) this.#abort.abort();
    else this.#attempt.end("cancelled", "it was cancelled");
  }

  /** The daemon ends: what runs goes on in its VM. */
  letGo(): void {
    this.#isLeft = true;
    this.#attempt?.letGo();
    this.#abort.abort();
  }

  async #live(log: TaskLog): Promise<RunEnd> {
    const record = this.#record();
    const agent = this.#deps.agentOf(record.request.agent);
    let known: { reader: AgentReader | undefined; tail: OutputTail } = {
      reader: agent.createReader?.(),
      tail: new OutputTail(),
    };
    try {
      if (record.state === "queued") {
        // What was asked for in time may come to its turn when nothing is left, and what others spend while its VM is made counts as well.
        const over = this.#overBudget(agent) ?? (await this.#prepareInTime(log, agent));
        if (over !== undefined) {
          await this.#endWithout(log, "budget", over, await this.#tryRemoveVms());
          return "ended";
        }
      } else known = await replay(log, agent);
      this.#reader = known.reader;
      if (this.#record().state !== "collecting") {
        const end = await this.#work(log, agent, known);
        this.#note({
          state: "collecting",
          finish: end.reason,
          reason: end.message,
          exitCode: end.exit?.exitCode ?? undefined,
        });
        await log.append([this.#stateEvent()]);
      }
    } catch (error) {
      if (this.#isLeft) throw error;
      return this.#afterFailure(toFirebreakError(error), log);
    }
    await this.#collect(log);
    await this.#end(log, known);
    return "ended";
  }

  #overBudget(agent: TaskAgent): FirebreakError | undefined {
    if (agent.createReader === undefined) return undefined;
    try {
      this.#deps.budgets.check(this.#record().user);
      return undefined;
    } catch (error) {
      return toFirebreakError(error);
    }
  }

  /** As `#prepare`; what does not work by its deadline is given up, whatever has been made ready for it. */
  async #prepareInTime(log: TaskLog, agent: TaskAgent): Promise<FirebreakError | undefined> {
    const { deadlineAt } = this.#record().request;
    const leftMs = deadlineAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(deadlineAt) - Date.now();
    const giveUp = () => {
      this.#isLate = true;
      this.#abort.abort();
    };
    if (leftMs <= MAX_TIMER_MS) this.#deadline = setTimeout(giveUp, leftMs);
    try {
      return await this.#prepare(log, agent);
    } finally {
      clearTimeout(this.#deadline);
    }
  }

  /** Until it works, or what keeps it from that: nothing is left of its user's budget. */
  async #prepare(log: TaskLog, agent: TaskAgent): Promise<FirebreakError | undefined> {
    const { machines, plan } = this.#deps;
    const { signal } = this.#abort;
    const attempt = this.#record().attempt + 1;
    this.#note({ state: "starting", attempt, reason: undefined, error: undefined });
    const onText = (text: string) =>
      void log.append([{ type: "output", stream: "stderr", text }]).catch((error: unknown) => this.#tell("log", error));
    const planned = await plan(this.#record(), { signal, onText });
    const vm = await this.#createVm(planned, signal);
    this.#note({ vm: { id: vm.id, name: vm.name }, vmAt: new Date().toISOString(), reason: undefined });
    // Only now: a task that waits for memory is told of once, not each time it is tried.
    await log.append([this.#stateEvent()], { offset: 0, stdout: 0, stderr: 0 });
    await machines.prepare(vm.id, planned, { signal, onText });
    this.#plan = planned;
    await this.#deps.takePlace(this.#id, signal, () => {
      if (vm.accel === "tcg") void machines.warmUp(vm.id, signal);
    });
    clearTimeout(this.#deadline);
    const over = this.#overBudget(agent);
    if (over !== undefined) return over;
    this.#note({ state: "running", startedAt: new Date().toISOString() });
    await log.append([this.#stateEvent()]);
    return undefined;
  }

  /** Makes its VM; what takes long enough to be wondered about (an image or a template that is not there yet) is the task's reason meanwhile. */
  async #createVm(planned: TaskPlan, signal: AbortSignal): Promise<Vm> {
    let latest: string | undefined;
    const onProgress: OnProgress = ({ message, fraction }) => {
      latest = fraction === undefined ? message : `${message} ${Math.round(fraction * 100)} %`;
    };
    const timer = setInterval(() => {
      if (latest !== undefined && latest !== this.#record().reason) this.#note({ reason: latest });
    }, PROGRESS_MS);
    try {
      return await this.#deps.machines.create(this.#record(), planned.vm, { signal, onProgress });
    } finally {
      clearInterval(timer);
    }
  }

  #plan: TaskPlan | undefined;
  #reader: AgentReader | undefined;
  readonly #collecting = new AbortController();

  async #work(
    log: TaskLog,
    agent: TaskAgent,
    { reader, tail }: { reader: AgentReader | undefined; tail: OutputTail },
  ): Promise<AttemptEnd> {
    const { machines, plan, costOf } = this.#deps;
    const record = this.#record();
    const { vm, attempt, startedAt, request } = record;
    if (vm === undefined || startedAt === undefined || !machines.isRunning(vm.id))
      throw new FirebreakError("TASK_LOST", "the task's VM is not there any more");
    // Asked for only when the command is not there yet: what it was started with may not be any more.
    const launch = async () =>
      (this.#plan ?? (await plan(record, { signal: this.#abort.signal, onText: () => {} }))).launch;
    const spent = record.pastUsage?.cost?.usd ?? 0;
    const { budgets } = this.#deps;
    const { user } = record;
    this.#attempt = new Attempt({
      vm: vm.id,
      execId: `task-${attempt}`,
      isNew: this.#plan !== undefined,
      launch,
      agent,
      log,
      tail,
      reader,
      machines,
      startedAtMs: Date.parse(startedAt),
      timeoutMs: request.timeoutMs,
      maxTurns: agent.keepsTurns ? undefined : request.maxTurns,
      maxCostUsd: request.maxCostUsd === undefined ? undefined : Math.max(0, request.maxCostUsd - spent),
      overBudget: budgets.isLimited ? (usd: number) => budgets.note(this.#id, user, spent + usd) : undefined,
      costOf: (of) => costOf(of.tokens, of.costUsd, request.model)?.usd,
      onError: (message, error) => this.#deps.log(message, { task: this.#id, error: error.message }),
    });
    if (this.#isCancelled || record.cancelledAt !== undefined) this.#attempt.end("cancelled", "it was cancelled");
    if (this.#isLeft) this.#attempt.letGo();
    return this.#attempt.run();
  }

  /** The machine below has failed, or what was asked for cannot be. */
  async #afterFailure(error: FirebreakError, log: TaskLog): Promise<RunEnd> {
    const record = this.#record();
    // What it worked on may not have come back yet: then the VM stays, as at any other end.
    const stays = await this.#tryRemoveVms();
    if (this.#isCancelled || record.cancelledAt !== undefined) {
      this.#note({ reason: "it was cancelled" });
      await this.#endWithout(log, "cancelled", undefined, stays);
      return "ended";
    }
    if (this.#isLate) {
      this.#note({ reason: lateReason(record.request.deadlineAt) });
      await this.#endWithout(log, "timeout", undefined, stays);
      return "ended";
    }
    if (error.code === "VM_MEMORY_EXHAUSTED" && record.state === "starting" && stays === undefined) {
      this.#note({ state: "queued", attempt: record.attempt - 1, reason: `it waits: ${error.message}`, vm: undefined });
      return "waits";
    }
    const isMachine = ["unavailable", "internal", "resource_exhausted", "deadline_exceeded"].includes(error.class);
    if (isMachine && stays === undefined && record.attempt <= record.request.maxRetries) {
      const pastUsage = this.#usage(this.#reader);
      this.#note({
        state: "queued",
        reason: `it begins again: ${error.message}`,
        vm: undefined,
        vmAt: undefined,
        pastUsage,
      });
      await log.append([this.#stateEvent()]);
      return "again";
    }
    await this.#endWithout(log, isMachine ? "lost" : "failed", error, stays);
    return "ended";
  }

  /** The output directory's files; a failure costs them, and not the task. */
  async #collect(log: TaskLog): Promise<void> {
    const { machines, storage, workFolder } = this.#deps;
    const { vm, request, files } = this.#record();
    if (files !== undefined) return;
    if (vm === undefined || !machines.isRunning(vm.id)) return void this.#note({ files: [] });
    const signal = AbortSignal.any([this.#abort.signal, this.#collecting.signal, AbortSignal.timeout(COLLECT_MS)]);
    try {
      await mkdir(workFolder, { recursive: true, mode: 0o700 });
      const workspace = workspacePathOf(request);
      if (workspace !== undefined)
        await machines
          .writeDiff(vm.id, workspace, path.join(request.outputDir, DIFF_NAME), signal)
          .catch((error: unknown) => this.#tell("comparison with its start", error));
      const found = (await machines.readDirectory(vm.id, request.outputDir, signal, (archive) =>
        collectFiles(archive, storage, workFolder),
      )) ?? { files: [], skipped: [] };
      // The next daemon fetches them all.
      if (found.failure !== undefined && this.#isLeft) throw found.failure;
      this.#note({ files: found.files });
      const events: TaskEventBody[] = found.skipped
        .slice(0, 100)
        .map((text) => ({ type: "error", message: `left out of the files: ${text}`, fatal: false }));
      if (found.failure !== undefined)
        events.push({ type: "error", message: filesMissing(found.files.length, found.failure), fatal: false });
      await log.append(events);
    } catch (error) {
      if (this.#isLeft) throw error;
      this.#note({ files: [] });
      await log.append([{ type: "error", message: filesMissing(0, error), fatal: false }]);
    }
  }

  async #end(log: TaskLog, { reader, tail }: { reader: AgentReader | undefined; tail: OutputTail }): Promise<void> {
    const record = this.#record();
    const keeps =
      record.request.keepVm === "always" || (record.request.keepVm === "on-failure" && record.finish !== "completed");
    const usage = this.#usage(reader);
    let reason = record.reason;
    let isKept = keeps;
    if (!keeps)
      await this.#removeVms().catch((error: unknown) => {
        isKept = true;
        reason = `${reason === undefined ? "" : `${reason}; `}its VM is kept: ${describe(error)}`;
      });
    this.#note({
      usage,
      reason,
      outputTail: tail.text,
      answer: tail.answer,
      ...(isKept ? {} : { vm: undefined }),
    });
    await this.#close(log);
  }

  async #endWithout(
    log: TaskLog,
    finish: FinishReason,
    error: FirebreakError | undefined,
    stays: FirebreakError | undefined,
  ): Promise<void> {
    const reason = error?.message ?? this.#record().reason;
    this.#note({
      finish,
      usage: this.#usage(this.#reader),
      files: [],
      ...(stays === undefined
        ? { vm: undefined, reason }
        : { reason: [reason, `its VM is kept: ${stays.message}`].filter(Boolean).join("; ") }),
      ...(error === undefined ? {} : { error: errorOf(error) }),
    });
    await this.#close(log);
  }

  /** The last event, then the row: a daemon that dies between finds the event and writes the row. */
  async #close(log: TaskLog): Promise<void> {
    await closeTask(this.#record(), log);
    this.#note({ state: endStateOf(this.#record().finish), endedAt: new Date().toISOString() });
  }

  /** That of this attempt, and of those before it. */
  #usage(reader: AgentReader | undefined): TaskUsage {
    const { pastUsage: past, vmAt, request } = this.#record();
    const seconds = vmAt === undefined ? 0 : Math.max(0, (Date.now() - Date.parse(vmAt)) / 1000);
    const tokens = reader?.tokens ?? [];
    const cost = this.#deps.costOf(tokens, reader?.costUsd, request.model);
    const memoryMib = this.#plan?.vm.memoryMib ?? request.memoryMib ?? DEFAULTS.memoryMib;
    return addUsage(past, {
      tokens: [...tokens],
      ...(cost === undefined ? {} : { cost }),
      vmSeconds: round(seconds),
      memoryMibSeconds: round(seconds * memoryMib),
    });
  }

  /** Why its VMs are not all gone, if they are not. */
  #tryRemoveVms(): Promise<FirebreakError | undefined> {
    return this.#removeVms().then(
      () => undefined,
      (thrown: unknown) => toFirebreakError(thrown),
    );
  }

  async #removeVms(): Promise<void> {
    for (const vm of this.#deps.machines.find(this.#id)) await this.#deps.machines.delete(vm.id);
  }

  #stateEvent(): TaskEventBody {
    const { state, attempt, reason } = this.#record();
    return { type: "state", state, attempt, ...(reason === undefined ? {} : { reason }) };
  }

  #note(change: Parameters<TaskStore["update"]>[1]): void {
    this.#deps.onChange(this.#deps.store.update(this.#id, change));
  }

  #record(): TaskRecord {
    const record = this.#deps.store.get(this.#id);
    if (record === undefined) throw new FirebreakError("TASK_NOT_FOUND", `there is no task '${this.#id}'`);
    return record;
  }

  #tell(what: string, error: unknown): void {
    this.#deps.log(`a task's ${what} failed`, { task: this.#id, error: describe(error) });
  }
}

/** Writes a task's last event, unless it is there. */
export async function closeTask(
  { finish = "failed", exitCode, usage, reason }: TaskRecord,
  log: TaskLog,
): Promise<void> {
  for await (const piece of log.read(Math.max(1, log.lastSeq))) {
    const last = piece.toString("utf8").trimEnd().split("\n").at(-1) ?? "null";
    if ((JSON.parse(last) as TaskEvent | null)?.type === "finished") return log.end();
  }
  await log.append([
    {
      type: "finished",
      reason: finish,
      tokens: usage?.tokens ?? [],
      ...(usage?.cost === undefined ? {} : { cost: usage.cost }),
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(reason === undefined ? {} : { message: reason }),
    },
  ]);
  log.end();
}

/** Why a task has failed whose deadline has passed. */
export const lateReason = (deadlineAt: string | undefined): string => `it had not begun by ${deadlineAt}`;

export function endStateOf(finish: FinishReason | undefined): "completed" | "failed" | "cancelled" {
  return finish === "completed" || finish === "cancelled" ? finish : "failed";
}

function errorOf({ code, message, hint }: FirebreakError): NonNullable<TaskRecord["error"]> {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

function filesMissing(kept: number, error: unknown): string {
  const which = kept === 0 ? "its files" : `of its files all but the first ${kept}`;
  return `${which} could not be fetched: ${describe(error)}`;
}

function describe(error: unknown): string {
  return toFirebreakError(error).message;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

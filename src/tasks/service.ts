import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import os from "node:os";
import type { Readable } from "node:stream";
import { type EgressPolicy, NO_NETWORK } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import { isEnded, type Task, type TaskRequest } from "../contract/task.ts";
import type { Usage } from "../contract/usage.ts";
import { MAX_LABELS } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { Mutex } from "../vms/mutex.ts";
import type { TaskLog } from "./log/task-log.ts";
import type { TaskLogs } from "./logs.ts";
import { chooseNext, chooseWorking, PREPARED_AHEAD, type QueuedTask } from "./queue.ts";
import type { ResultStorage } from "./results/storage.ts";
import { lateReason, type RunDeps, TaskRun } from "./run.ts";
import type { TaskSettings } from "./settings.ts";
import type { TaskFilter, TaskGlance, TaskRecord } from "./task-store.ts";
import { sumUsage } from "./usage.ts";
import { toTask } from "./view.ts";
import { toQueued, WaitingTasks } from "./waiting.ts";
import { planTask } from "./wanted.ts";
import type { DeliveryStore } from "./webhooks/delivery-store.ts";

const MIB = 1024 * 1024;
/** A task that waits for memory is tried again after this, or when another has ended, ms. */
const MEMORY_RETRY_MS = 3_000;
/** What a run has left is gone on with after this, ms: what it was left for may last. */
const TAKE_UP_MS = 5_000;
const LATE_RETRY_MS = 5_000;
const PRUNE_MS = 3600_000;

export interface TaskServiceOptions extends Omit<RunDeps, "takePlace" | "onChange"> {
  logs: TaskLogs;
  settings: () => TaskSettings;
  hasSecret: (name: string) => boolean;
  /** Throws what making a VM with this network and these secrets would. */
  checkAccess: (policy: EgressPolicy, secrets: readonly SecretGrant[]) => void;
  deliveries: Pick<DeliveryStore, "ofTask">;
  /** Removes what a daemon that was killed has left on this host's disk and no task has. */
  sweep: () => Promise<void>;
  /** Throws when the webhooks cannot be as they are; confined ones lead to public addresses alone. */
  checkWebhooks: (webhooks: TaskRequest["webhooks"], isConfined: boolean) => void;
}

/** All tasks of a daemon: their queue, and those that have begun. */
export class TaskService {
  readonly #options: TaskServiceOptions;
  readonly #queued = new WaitingTasks();
  readonly #runs = new Map<string, { run: TaskRun; task: QueuedTask; done: Promise<void> }>();
  /** Ids of those whose VMs are ready, each with what lets it begin its work. */
  readonly #ready = new Map<string, () => void>();
  readonly #working = new Set<string>();
  readonly #listeners = new Set<(task: TaskRecord) => void>();
  readonly #files = new Mutex();
  /** Digests of files that runs have put into the storage. */
  readonly #held = new Set<Set<string>>();
  #memoryRetry: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #pruning: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: TaskServiceOptions) {
    this.#options = options;
  }

  /** Queues a task: it is kept before this returns. Throws INVALID_ARGUMENT, AGENT_NOT_FOUND, AGENT_SECRET_MISSING, EGRESS_DENIED, TASK_BUDGET_EXHAUSTED, SECRET_… */
  create(request: TaskRequest, user: string | undefined, isConfined = user !== undefined): Task {
    const { store, agentOf, hasSecret, checkAccess, checkWebhooks, budgets } = this.#options;
    const agent = agentOf(request.agent);
    // What is wrong with it is said now, and not when its turn comes.
    if (Object.keys(request.labels).length >= MAX_LABELS || Object.keys(request.labels).some(isOwnLabel))
      throw new FirebreakError(
        "INVALID_ARGUMENT",
        `labels: at most ${MAX_LABELS - 1}, and none that begins with 'firebreak/'`,
        { details: { field: "labels" } },
      );
    if ((request.memoryMib ?? 0) * MIB > os.totalmem())
      throw new FirebreakError(
        "VM_MEMORY_EXHAUSTED",
        `it asks for ${request.memoryMib} MiB, and this host has ${Math.floor(os.totalmem() / MIB)} in all`,
      );
    const { vm } = planTask(request, { agent, drive: undefined, hasSecret });
    checkAccess(vm.network ?? NO_NETWORK, vm.secrets ?? []);
    const { files, ...rest } = request;
    checkWebhooks(request.webhooks, isConfined);
    // A command has no model that costs.
    if (agent.createReader !== undefined) budgets.check(user);
    const record: TaskRecord = {
      id: randomBytes(6).toString("hex"),
      request: rest,
      state: "queued",
      user,
      ...(isConfined ? { isConfined } : {}),
      createdAt: new Date().toISOString(),
      attempt: 0,
    };
    store.insert(record, files);
    this.#enqueue(record);
    this.#tick();
    return this.get(record.id);
  }

  get(id: string): Task {
    const task = this.#view(this.#find(id));
    const webhooks = this.#options.deliveries.ofTask(id).map(({ url, state, tries, reason }) => ({
      host: new URL(url).host,
      state,
      tries,
      ...(reason === undefined ? {} : { reason }),
    }));
    const { endedAt } = task;
    const keptUntil =
      endedAt === undefined ? undefined : new Date(Date.parse(endedAt) + this.#options.settings().keepMs).toISOString();
    return {
      ...task,
      ...(webhooks.length === 0 ? {} : { webhooks }),
      ...(keptUntil === undefined ? {} : { keptUntil }),
    };
  }

  /** Without their files and what they have said. */
  list(filter: TaskFilter): Task[] {
    return this.#options.store.glance(filter).map((record) => this.#view(record));
  }

  /** What tasks that ended in this time took, by what `by` names; those that are forgotten count, too. */
  usage(by: string, range: { since?: string | undefined; until?: string | undefined }): Usage {
    return sumUsage(this.#options.store.usage(range), by, range);
  }

  /** Ends a task, whatever it is at. One that has ended stays as it is. */
  async cancel(id: string): Promise<Task> {
    const { store, logs } = this.#options;
    const record = this.#find(id);
    if (isEnded(record.state)) return this.#view(record);
    const cancelledAt = new Date().toISOString();
    const running = this.#runs.get(id);
    if (running !== undefined) {
      store.update(id, { cancelledAt });
      running.run.cancel();
      return this.get(id);
    }
    this.#queued.delete(id);
    this.#tell(
      store.update(id, { state: "cancelled", finish: "cancelled", cancelledAt, endedAt: cancelledAt, files: [] }),
    );
    await logs.use(id, async (log) => {
      await log.append([{ type: "finished", reason: "cancelled", tokens: [] }]);
      log.end();
    });
    this.#tick();
    return this.get(id);
  }

  /** Whether a task works on a directory of this host, which is for local callers alone. */
  hasHostWorkspace(id: string): boolean {
    const { workspace } = this.#find(id).request;
    return workspace !== undefined && !("git" in workspace);
  }

  /** A new task like one that has ended. Throws TASK_STATE_CONFLICT. */
  retry(id: string, user: string | undefined): Task {
    const record = this.#find(id);
    if (!isEnded(record.state))
      throw new FirebreakError("TASK_STATE_CONFLICT", `the task ${id} has not ended: it is ${record.state}`, {
        hint: `firebreak task cancel ${id}`,
      });
    // Who repeats a task does not vouch for the receivers that somebody else has named.
    const isConfined = user !== undefined || record.isConfined === true;
    const files = this.#options.store.filesOf(id);
    return this.create({ ...record.request, files, deadlineAt: undefined }, user, isConfined);
  }

  /** Forgets a task that has ended, with its log and files. Throws TASK_STATE_CONFLICT. */
  async delete(id: string): Promise<Task> {
    const { store, logs } = this.#options;
    const record = this.#find(id);
    if (!isEnded(record.state) || this.#runs.has(id))
      throw new FirebreakError("TASK_STATE_CONFLICT", `the task ${id} has not ended: it is ${record.state}`, {
        hint: `firebreak task cancel ${id}`,
      });
    const view = this.#view(record);
    await this.#files.run(async () => {
      // Somebody else may have deleted it meanwhile.
      this.#find(id);
      // The task goes last: whoever finds it after a crash deletes what is left of it.
      await this.#dropUnused(
        (record.files ?? []).map(({ digest }) => digest),
        id,
      );
      await logs.delete(id);
      store.remove(id);
    });
    return view;
  }

  /** Until it has ended, or `signal` aborts: the task as it is then. */
  async wait(id: string, signal: AbortSignal): Promise<Task> {
    this.#find(id);
    await new Promise<void>((resolve) => {
      const check = () => {
        const record = this.#options.store.get(id);
        if (record !== undefined && !isEnded(record.state) && !signal.aborted) return;
        this.#listeners.delete(hear);
        signal.removeEventListener("abort", check);
        resolve();
      };
      // Those who wait for others are not woken.
      const hear = (changed: TaskRecord) => {
        if (changed.id === id) check();
      };
      this.#listeners.add(hear);
      signal.addEventListener("abort", check);
      check();
    });
    return this.get(id);
  }

  /** Hears of each change of a task. */
  onChange(listener: (task: TaskRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A task's log for as long as `work` takes; it has ended when the task has. */
  async useLog<T>(id: string, work: (log: TaskLog) => Promise<T>): Promise<T> {
    this.#find(id);
    return this.#options.logs.use(id, async (log) => {
      if (isEnded(this.#find(id).state)) log.end();
      return work(log);
    });
  }

  /** A file of its output directory. Throws TASK_FILE_NOT_FOUND. */
  async openFile(
    id: string,
    path: string,
    range: { offset?: number | undefined; length?: number | undefined } = {},
  ): Promise<{ file: NonNullable<TaskRecord["files"]>[number]; body: Readable }> {
    const { files, state } = this.#find(id);
    const file = files?.find((each) => each.path === path);
    if (file === undefined)
      throw new FirebreakError("TASK_FILE_NOT_FOUND", `the task ${id} has no file '${path}'`, {
        hint: files === undefined ? `It is ${state}: files are fetched at its end.` : `firebreak task files ${id}`,
      });
    return { file, body: await this.#options.storage.get(file.digest, range) };
  }

  /** Finds the tasks of an earlier daemon again. VMs that no task needs are deleted. */
  async recover(): Promise<void> {
    const { store, machines, workFolder } = this.#options;
    await rm(workFolder, { recursive: true, force: true });
    await this.#options.sweep().catch((error: unknown) => this.#report("what is left of tasks stays", "", error));
    const open = store.list({ states: ["queued", "starting", "running", "collecting"], limit: 100_000 }).reverse();
    for (const record of open) await this.#takeUp(record);
    const owned = new Set(open.map(({ id }) => id));
    for (const vm of machines.list()) {
      const task = vm.labels["firebreak/task"] as string; // listed by it
      if (owned.has(task) || store.get(task)?.vm?.id === vm.id) continue;
      await machines.delete(vm.id).catch((error: unknown) => this.#report("a task's VM stays", vm.name, error));
    }
    this.#tick();
    this.#pruning = setInterval(() => void this.prune(), PRUNE_MS).unref();
    void this.prune();
  }

  /** Forgets what has ended long ago. */
  async prune(): Promise<void> {
    const limit = new Date(Date.now() - this.#options.settings().keepMs).toISOString();
    for (const id of this.#options.store.endedBefore(limit))
      await this.delete(id).catch((error: unknown) => this.#report("a task could not be forgotten", id, error));
  }

  /** Lets go of what runs: its commands go on in their VMs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#memoryRetry);
    clearTimeout(this.#deadline);
    clearInterval(this.#pruning);
    for (const { run } of this.#runs.values()) run.letGo();
    await Promise.all([...this.#runs.values()].map(({ done }) => done));
  }

  /** Goes on with what another daemon, or a run that broke off, has left. */
  async #takeUp(record: TaskRecord): Promise<void> {
    const { store, machines } = this.#options;
    if (record.state === "queued") this.#enqueueOrCancel(record);
    else if (record.state === "starting") {
      // Its work has not begun: nothing is lost by beginning anew.
      for (const vm of machines.find(record.id)) await machines.delete(vm.id).catch(() => {});
      this.#enqueueOrCancel(store.update(record.id, { state: "queued", attempt: record.attempt - 1, vm: undefined }));
    } else this.#start(toQueued(record));
  }

  /** Content that neither a task, but for one that is to go, nor a run has any more. */
  async #dropUnused(digests: readonly string[], without?: string): Promise<void> {
    const { store, storage } = this.#options;
    if (digests.length === 0) return;
    for (const digest of store.unusedOf(digests, without))
      if (![...this.#held].some((held) => held.has(digest))) await storage.delete(digest);
  }

  /** The storage for one run: what it puts there is kept though no record names it yet. */
  #holding(held: Set<string>): ResultStorage {
    const { storage } = this.#options;
    return {
      place: storage.place,
      put: async (digest, file, sizeBytes) => {
        held.add(digest);
        // A deletion that is under way gets to its end first.
        await this.#files.run(async () => {});
        await storage.put(digest, file, sizeBytes);
      },
      get: (digest, range) => storage.get(digest, range),
      delete: (digest) => storage.delete(digest),
    };
  }

  #takeUpLater(id: string): void {
    setTimeout(() => {
      const record = this.#options.store.get(id);
      if (this.#isClosed || record === undefined || isEnded(record.state)) return;
      if (this.#runs.has(id) || this.#queued.has(id)) return;
      this.#takeUp(record)
        .then(() => this.#tick())
        .catch(() => this.#takeUpLater(id));
    }, TAKE_UP_MS).unref();
  }

  #enqueueOrCancel(record: TaskRecord): void {
    this.#enqueue(record);
    if (record.cancelledAt === undefined) return;
    void this.cancel(record.id).catch((error: unknown) =>
      this.#report("a task could not be cancelled", record.id, error),
    );
  }

  #enqueue(record: TaskRecord): void {
    this.#queued.add(toQueued(record));
  }

  /** Begins whatever may begin. */
  #tick(): void {
    if (this.#isClosed) return;
    try {
      this.#failLate();
    } catch (error) {
      // A full disk, perhaps: nobody hears what a timer throws.
      this.#options.log("a late task could not be ended", { error: toFirebreakError(error).message });
      clearTimeout(this.#deadline);
      this.#deadline = setTimeout(() => this.#tick(), LATE_RETRY_MS).unref();
    }
    const caps = this.#options.settings();
    this.#fillPlaces(caps);
    if (this.#memoryRetry !== undefined) return;
    const begun = [...this.#runs].filter(([id]) => !this.#isCollecting(id)).map(([, { task }]) => task);
    const places = caps.maxRunning + PREPARED_AHEAD - begun.length;
    for (const task of chooseNext(this.#queued.all, begun, caps, places)) {
      this.#queued.delete(task.id);
      this.#start(task);
    }
  }

  /** Those whose VMs are ready begin their work, as far as there are places. */
  #fillPlaces(caps: TaskSettings): void {
    const tasksOf = (ids: Iterable<string>) =>
      [...ids].map((id) => this.#runs.get(id)?.task).filter((task) => task !== undefined);
    for (const { id } of chooseWorking(tasksOf(this.#ready.keys()), tasksOf(this.#working), caps)) {
      this.#working.add(id);
      this.#ready.get(id)?.();
      this.#ready.delete(id);
    }
  }

  #isCollecting(id: string): boolean {
    return this.#options.store.get(id)?.state === "collecting";
  }

  #start(task: QueuedTask): void {
    const { id } = task;
    if (this.#options.store.get(id)?.state === "running") this.#working.add(id);
    const held = new Set<string>();
    this.#held.add(held);
    const run = new TaskRun(id, {
      ...this.#options,
      storage: this.#holding(held),
      takePlace: (of, signal, onWait) => this.#takePlace(of, signal, onWait),
      onChange: (record) => this.#changed(record),
    });
    const done = run.live().then((end) => {
      this.#runs.delete(id);
      this.#working.delete(id);
      this.#ready.delete(id);
      this.#held.delete(held);
      this.#options.budgets.forget(id);
      if (this.#isClosed) return;
      // What was fetched for a list of files that never came to be.
      void this.#files
        .run(async () => {
          const named = new Set(this.#options.store.get(id)?.files?.map(({ digest }) => digest));
          await this.#dropUnused([...held].filter((digest) => !named.has(digest)));
        })
        .catch((error: unknown) => this.#report("a task's file stays", id, error));
      // A full disk, or a file that is being edited: neither lasts, and nobody else goes on with it.
      if (end === "left") this.#takeUpLater(id);
      if (end === "waits") this.#waitForMemory();
      else this.#stopWaiting();
      const record = this.#options.store.get(id);
      if (end !== "left" && record?.state === "queued") this.#enqueueOrCancel(record);
      // Whoever waits for its end may ask for what it held.
      if (record !== undefined) this.#tell(record);
      this.#tick();
    });
    this.#runs.set(id, { run, task, done });
  }

  #takePlace(id: string, signal: AbortSignal, onWait: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#ready.delete(id);
        reject(new FirebreakError("OPERATION_CANCELED", "it was cancelled"));
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#ready.set(id, resolve);
      this.#tick();
      if (this.#ready.has(id)) onWait();
    });
  }

  #changed(record: TaskRecord): void {
    if (record.state === "collecting") {
      this.#working.delete(record.id);
      setImmediate(() => this.#tick());
    }
    this.#tell(record);
  }

  /** While others work, their memory comes back when they end; what waits comes first then. */
  #waitForMemory(): void {
    clearTimeout(this.#memoryRetry);
    this.#memoryRetry = setTimeout(() => {
      this.#stopWaiting();
      this.#tick();
    }, MEMORY_RETRY_MS).unref();
  }

  #stopWaiting(): void {
    clearTimeout(this.#memoryRetry);
    this.#memoryRetry = undefined;
  }

  /** What was to have begun by now. */
  #failLate(): void {
    const { store, logs } = this.#options;
    const { late, nextMs } = this.#queued.lateAt(Date.now());
    for (const { id } of late) {
      const reason = lateReason(store.get(id)?.request.deadlineAt);
      const endedAt = new Date().toISOString();
      this.#tell(store.update(id, { state: "failed", finish: "timeout", reason, endedAt, files: [] }));
      this.#queued.delete(id);
      void logs
        .use(id, async (log) => {
          await log.append([{ type: "finished", reason: "timeout", message: reason, tokens: [] }]);
          log.end();
        })
        .catch((error: unknown) => this.#report("a task's log could not be written", id, error));
    }
    clearTimeout(this.#deadline);
    if (Number.isFinite(nextMs))
      this.#deadline = setTimeout(() => this.#tick(), Math.min(nextMs - Date.now() + 1, 2 ** 31 - 1)).unref();
  }

  #tell(record: TaskRecord): void {
    for (const listener of [...this.#listeners]) listener(record);
  }

  #report(message: string, task: string, error: unknown): void {
    this.#options.log(message, { task, error: toFirebreakError(error).message });
  }

  #find(id: string): TaskRecord {
    const record = this.#options.store.get(id);
    if (record === undefined)
      throw new FirebreakError("TASK_NOT_FOUND", `there is no task '${id}'`, {
        hint: "List them: firebreak task list",
      });
    return record;
  }

  #view(record: TaskRecord | TaskGlance): Task {
    return toTask(record, record.state === "queued" ? this.#queued.positionOf(record.id) : undefined);
  }
}

const isOwnLabel = (key: string) => key.startsWith("firebreak/");

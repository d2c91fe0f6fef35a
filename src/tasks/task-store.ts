import type { TaskFile, TaskRequest, TaskState, TaskUsage } from "../contract/task.ts";
import type { FinishReason } from "../contract/task-event.ts";

/** A task as it is kept. Times are ISO 8601. */
export interface TaskRecord {
  id: string;
  /** Without the content of its files: `TaskStore.filesOf` has that. */
  request: Omit<TaskRequest, "files">;
  state: TaskState;
  /** Name of the API key that asked for it. */
  user: string | undefined;
  /** Somebody with an API key has named its webhooks, of this task or of the one that it repeats. */
  isConfined?: boolean | undefined;
  createdAt: string;
  attempt: number;
  reason?: string | undefined;
  finish?: FinishReason | undefined;
  error?: { code: string; message: string } | undefined;
  /** The VM of the attempt that is under way, or that was kept. */
  vm?: { id: string; name: string } | undefined;
  /** When the VM of this attempt was there; what it is charged for begins here. */
  vmAt?: string | undefined;
  startedAt?: string | undefined;
  endedAt?: string | undefined;
  cancelledAt?: string | undefined;
  exitCode?: number | undefined;
  answer?: string | undefined;
  outputTail?: string | undefined;
  files?: TaskFile[] | undefined;
  usage?: TaskUsage | undefined;
  /** Of attempts that the machine below has failed. */
  pastUsage?: TaskUsage | undefined;
}

/** A task as lists have it: without what it has left and said, and with the beginning of what it was asked. */
export type TaskGlance = Omit<TaskRecord, "request" | "files" | "answer" | "outputTail"> & {
  request: Pick<TaskRequest, "agent" | "name" | "prompt" | "argv" | "model" | "priority" | "labels">;
};

/** What an ended task is counted by; it stays when the task is forgotten. */
export interface UsageEntry {
  task: string;
  endedAt: string;
  agent: string;
  user: string | undefined;
  /** What was asked for; `usage.tokens` have what was used. */
  model: string | undefined;
  labels: Record<string, string>;
  usage: TaskUsage;
}

export interface TaskFilter {
  states?: readonly TaskState[] | undefined;
  agent?: string | undefined;
  user?: string | undefined;
  /** KEY or KEY=VALUE, all of them. */
  labels?: readonly string[] | undefined;
  /** Only those made before this one. */
  before?: string | undefined;
  limit?: number | undefined;
}

export interface TaskStore {
  insert(record: TaskRecord, files: TaskRequest["files"]): void;
  /** The files that a task's work begins with: megabytes, perhaps, which nobody else asks for. */
  filesOf(id: string): TaskRequest["files"];
  get(id: string): TaskRecord | undefined;
  /** Newest first. */
  list(filter?: TaskFilter): TaskRecord[];
  /** The same with as much of each as a list shows. */
  glance(filter?: TaskFilter): TaskGlance[];
  /** Ids of those that ended before a time, ISO 8601, the oldest first. */
  endedBefore(time: string): string[];
  /** Changes a task; `undefined` takes a value away. What is counted of its end is kept with it, or neither is. Throws TASK_STATE_CONFLICT when its state does not allow the next. */
  update(id: string, change: Partial<Omit<TaskRecord, "id" | "request">>): TaskRecord;
  remove(id: string): void;
  /** Of all tasks that have ended from `since` on and before `until`, ISO 8601, also of those that were removed. */
  usage(range: { since?: string | undefined; until?: string | undefined }): Iterable<UsageEntry>;
  /** Those of the digests that no file of a task has, but for the files of one that is to go. */
  unusedOf(digests: readonly string[], without?: string): string[];
}

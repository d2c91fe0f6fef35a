import type { Readable } from "node:stream";
import type { AgentInfo } from "../../contract/routes/task.ts";
import type { Task, TaskCreate, TaskFile, TaskState } from "../../contract/task.ts";
import type { TaskEvent } from "../../contract/task-event.ts";
import type { Usage } from "../../contract/usage.ts";
import { type CallOptions, type DaemonHttp, signalOf } from "../daemon-http.ts";

/** What a follower that may skip is told in the place of events. */
export interface SkippedEvents {
  skipped: { from: number; to: number };
}

export interface TaskQuery {
  state?: TaskState[];
  agent?: string;
  user?: string;
  label?: string[];
  before?: string;
  limit?: number;
}

/** Work of agents, and of any command, in VMs of its own. */
export class TaskCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  create(request: TaskCreate, options: CallOptions = {}): Promise<Task> {
    return this.#http.json("POST", "/v1/tasks", options, request);
  }

  async list(query: TaskQuery = {}, options: CallOptions = {}): Promise<Task[]> {
    return (await this.#http.json<{ tasks: Task[] }>("GET", "/v1/tasks", options, undefined, { ...query })).tasks;
  }

  get(task: string, options: CallOptions = {}): Promise<Task> {
    return this.#http.json("GET", taskPath(task), options);
  }

  /** The task when it has ended, or as it is after `timeoutMs`. */
  wait(task: string, timeoutMs: number, options: CallOptions = {}): Promise<Task> {
    return this.#http.json("GET", `${taskPath(task)}/wait`, options, undefined, { timeoutMs });
  }

  cancel(task: string, options: CallOptions = {}): Promise<Task> {
    return this.#http.json("POST", `${taskPath(task)}/cancel`, options, {});
  }

  retry(task: string, options: CallOptions = {}): Promise<Task> {
    return this.#http.json("POST", `${taskPath(task)}/retry`, options, {});
  }

  delete(task: string, options: CallOptions = {}): Promise<{ deleted: string; id: string }> {
    return this.#http.json("DELETE", taskPath(task), options);
  }

  /** Events from a number on; with `follow` until the task has ended. */
  events(
    task: string,
    query: { from?: number; follow?: boolean; skip?: boolean } = {},
    options: CallOptions = {},
  ): AsyncGenerator<TaskEvent | SkippedEvents> {
    return this.#http.follow(`${taskPath(task)}/events`, query, options);
  }

  async files(task: string, options: CallOptions = {}): Promise<TaskFile[]> {
    return (await this.#http.json<{ files: TaskFile[] }>("GET", `${taskPath(task)}/files`, options)).files;
  }

  readFile(
    task: string,
    path: string,
    range: { offset?: number; length?: number } = {},
    options: CallOptions = {},
  ): Promise<Readable> {
    return this.#http.raw("GET", `${taskPath(task)}/file`, { query: { path, ...range }, ...signalOf(options) });
  }

  /** Sums of ended tasks; `by` as in `usageBySchema`, times ISO 8601. */
  usage(query: { by?: string; since?: string; until?: string } = {}, options: CallOptions = {}): Promise<Usage> {
    return this.#http.json("GET", "/v1/usage", options, undefined, { ...query });
  }

  async agents(options: CallOptions = {}): Promise<AgentInfo[]> {
    return (await this.#http.json<{ agents: AgentInfo[] }>("GET", "/v1/agents", options)).agents;
  }
}

function taskPath(task: string): string {
  return `/v1/tasks/${encodeURIComponent(task)}`;
}

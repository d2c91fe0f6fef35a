import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { GLANCED, isEnded, TASK_TRANSITIONS, type TaskRequest } from "../contract/task.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { TaskFilter, TaskGlance, TaskRecord, TaskStore, UsageEntry } from "../tasks/task-store.ts";
import type { ToDeliveries } from "../tasks/webhooks/delivery-store.ts";
import { SqliteDeliveryStore } from "./webhooks.ts";

const DEFAULT_LIMIT = 1_000;
/** Of a list's tasks no more is read than is shown there: a guest decides how long the rest is, and there may be megabytes of it in each. */
const GLANCE = `
  json_remove(record, '$.files', '$.answer', '$.outputTail') AS record,
  json_object(
    'agent', agent,
    'name', json_extract(request, '$.name'),
    'model', json_extract(request, '$.model'),
    'priority', json_extract(request, '$.priority'),
    'labels', json(json_extract(request, '$.labels')),
    'prompt', substr(json_extract(request, '$.prompt'), 1, ${GLANCED.promptLength}),
    'argv', CASE WHEN json_type(request, '$.argv') = 'array' THEN json((
      SELECT json_group_array(substr(value, 1, ${GLANCED.wordLength}))
      FROM (SELECT value FROM json_each(request, '$.argv') LIMIT ${GLANCED.words})
    )) END
  ) AS request`;

/** Tasks in SQLite. */
export class SqliteTaskStore implements TaskStore {
  readonly #database: DatabaseSync;
  readonly #deliveries: SqliteDeliveryStore;
  readonly #toDeliveries: ToDeliveries;

  /** `toDeliveries` says whom an end is to be told; that is kept with the end. */
  constructor(database: DatabaseSync, toDeliveries: ToDeliveries = () => []) {
    this.#database = database;
    this.#deliveries = new SqliteDeliveryStore(database);
    this.#toDeliveries = toDeliveries;
  }

  insert({ request, ...record }: TaskRecord, files: TaskRequest["files"]): void {
    const { id, state, user, createdAt } = record;
    const json = [request, files, record].map((value) => JSON.stringify(value));
    this.#database
      .prepare(
        "INSERT INTO tasks (id, state, agent, user, created_at, request, files, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(id, state, request.agent, user ?? null, createdAt, ...json);
  }

  filesOf(id: string): TaskRequest["files"] {
    const row = this.#database.prepare("SELECT files FROM tasks WHERE id = ?").get(id);
    return row === undefined ? {} : (JSON.parse(String(row.files)) as TaskRequest["files"]);
  }

  get(id: string): TaskRecord | undefined {
    return this.#database.prepare("SELECT request, record FROM tasks WHERE id = ?").all(id).map(decode)[0];
  }

  list(filter: TaskFilter = {}): TaskRecord[] {
    return this.#select("request, record", filter).map(decode);
  }

  glance(filter: TaskFilter = {}): TaskGlance[] {
    return this.#select(GLANCE, filter).map((row) => {
      const { prompt, ...request } = JSON.parse(String(row.request)) as TaskGlance["request"] & {
        prompt: string | null;
      };
      // What is absent has no value, rather than none.
      const given = Object.entries({ ...request, prompt }).filter(([, value]) => value !== null);
      const record = JSON.parse(String(row.record)) as Omit<TaskGlance, "request">;
      return { ...record, request: Object.fromEntries(given) as unknown as TaskGlance["request"] };
    });
  }

  endedBefore(time: string): string[] {
    return this.#database
      .prepare("SELECT id FROM tasks WHERE json_extract(record, '$.endedAt') < ? ORDER BY number")
      .all(time)
      .map(({ id }) => String(id));
  }

  #select(columns: string, { states, agent, user, labels = [], before, limit = DEFAULT_LIMIT }: TaskFilter) {
    const where: string[] = [];
    const values: (string | number)[] = [];
    const add = (condition: string, ...of: (string | number)[]) => {
      where.push(condition);
      values.push(...of);
    };
    if (states !== undefined) add(`state IN (${states.map(() => "?").join(", ")})`, ...states);
    if (agent !== undefined) add("agent = ?", agent);
    if (user !== undefined) add("user = ?", user);
    if (before !== undefined) add("number < (SELECT number FROM tasks WHERE id = ?)", before);
    for (const label of labels) {
      const [key = "", value] = splitLabel(label);
      // What is no key of a label is one that no task has.
      const place = /^[\w./-]{1,63}$/.test(key) ? `$.labels."${key}"` : "$.labels.none.at.all";
      if (value === undefined) add("json_extract(request, ?) IS NOT NULL", place);
      else add("json_extract(request, ?) = ?", place, value);
    }
    return this.#database
      .prepare(
        `SELECT ${columns} FROM tasks ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""} ORDER BY number DESC LIMIT ?`,
      )
      .all(...values, limit);
  }

  update(id: string, change: Partial<Omit<TaskRecord, "id" | "request">>): TaskRecord {
    const old = this.get(id);
    if (old === undefined) throw new FirebreakError("TASK_NOT_FOUND", `there is no task '${id}'`);
    const record = { ...old, ...change };
    if (record.state !== old.state && !TASK_TRANSITIONS[old.state].includes(record.state))
      throw new FirebreakError(
        "TASK_STATE_CONFLICT",
        isEnded(old.state) ? `the task ${id} has ended: ${old.state}` : `the task ${id} is ${old.state}`,
      );
    this.#atomically(() => {
      this.#database
        .prepare("UPDATE tasks SET state = ?, record = ? WHERE id = ?")
        .run(record.state, JSON.stringify({ ...record, request: undefined }), id);
      if (!isEnded(record.state) || isEnded(old.state)) return;
      this.#count(record);
      for (const delivery of this.#toDeliveries(record)) this.#deliveries.insert(delivery);
    });
    return record;
  }

  remove(id: string): void {
    this.#atomically(() => {
      this.#deliveries.forget(id);
      this.#database.prepare("DELETE FROM tasks WHERE id = ?").run(id);
    });
  }

  *usage({
    since = "",
    until = "~",
  }: {
    since?: string | undefined;
    until?: string | undefined;
  }): Generator<UsageEntry> {
    const rows = this.#database
      .prepare("SELECT entry FROM task_usage WHERE ended_at >= ? AND ended_at < ? ORDER BY ended_at")
      .all(since, until);
    for (const { entry } of rows) yield JSON.parse(String(entry)) as UsageEntry;
  }

  unusedOf(digests: readonly string[], without = ""): string[] {
    return this.#database
      .prepare(
        `SELECT DISTINCT value FROM json_each(?) WHERE value NOT IN
           (SELECT json_extract(file.value, '$.digest') FROM tasks, json_each(tasks.record, '$.files') AS file
            WHERE tasks.id <> ?)`,
      )
      .all(JSON.stringify(digests), without)
      .map(({ value }) => String(value));
  }

  #count({ id, request, user, createdAt, endedAt = createdAt, usage }: TaskRecord): void {
    const { agent, model, labels } = request;
    const nothing = { tokens: [], vmSeconds: 0, memoryMibSeconds: 0 };
    const entry: UsageEntry = { task: id, endedAt, agent, user, model, labels, usage: usage ?? nothing };
    this.#database
      .prepare("INSERT OR REPLACE INTO task_usage (task, ended_at, entry) VALUES (?, ?, ?)")
      .run(id, endedAt, JSON.stringify(entry));
  }

  #atomically(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function splitLabel(label: string): [string, string | undefined] {
  const at = label.indexOf("=");
  return at < 0 ? [label, undefined] : [label.slice(0, at), label.slice(at + 1)];
}

function decode(row: Record<string, SQLOutputValue>): TaskRecord {
  const record = JSON.parse(String(row.record)) as Omit<TaskRecord, "request">;
  return { ...record, request: JSON.parse(String(row.request)) as TaskRecord["request"] };
}

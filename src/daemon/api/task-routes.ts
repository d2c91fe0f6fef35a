import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { AgentInfo } from "../../contract/routes/task.ts";
import { TASK_STATES, type TaskState, taskCreateSchema } from "../../contract/task.ts";
import { usageBySchema } from "../../contract/usage.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { TaskLog } from "../../tasks/log/task-log.ts";
import type { TaskService } from "../../tasks/service.ts";
import { requireLocal } from "./caller.ts";
import { type Api, type ApiContext, answerRaw, readJson } from "./context.ts";
import { callerSignal, parseCount, parseRequest, signalOfCaller } from "./responses.ts";

export interface TaskDeps {
  tasks: TaskService;
  agents: () => Promise<AgentInfo[]>;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const DEFAULT_WAIT_MS = 60_000;
const MAX_WAIT_MS = 3600_000;
/** Prompts and files come in one JSON body. */
const MAX_TASK_BYTES = 16 * 1024 * 1024;
/** How far behind a follower that may skip is before it does, bytes. */
export const MAX_BEHIND = 4 * 1024 * 1024;
const KEEPALIVE_MS = 15_000;
/** A piece of a log that is longer is one line, bytes. */
const MAX_COPIED = 256 * 1024;

/** Work of agents, and of any command, in VMs of its own. */
export function addTaskRoutes(api: Api, { tasks, agents }: TaskDeps): void {
  api.post("/v1/tasks", async (context) => {
    const request = parseRequest(taskCreateSchema, await readJson(context, MAX_TASK_BYTES));
    // A directory of this host is for those who are on it.
    if (request.workspace !== undefined && !("git" in request.workspace)) requireLocal(context);
    return context.json(tasks.create(request, userOf(context)), 201);
  });
  api.get("/v1/tasks", (context) => {
    const limit = parseCount(context.req.query("limit"), "limit") ?? DEFAULT_LIMIT;
    if (limit < 1 || limit > MAX_LIMIT) throw new FirebreakError("INVALID_ARGUMENT", `limit: 1 to ${MAX_LIMIT}`);
    const states = context.req.queries("state")?.map(parseState);
    const { agent, user, before } = context.req.query();
    return context.json({
      tasks: tasks.list({ states, agent, user, before, limit, labels: context.req.queries("label") }),
    });
  });
  api.get("/v1/tasks/:task", (context) => context.json(tasks.get(context.req.param("task"))));
  api.get("/v1/tasks/:task/wait", async (context) => {
    const timeoutMs = Math.min(parseCount(context.req.query("timeoutMs"), "timeoutMs") ?? DEFAULT_WAIT_MS, MAX_WAIT_MS);
    const signal = AbortSignal.any([callerSignal(context), AbortSignal.timeout(timeoutMs)]);
    return context.json(await tasks.wait(context.req.param("task"), signal));
  });
  api.post("/v1/tasks/:task/cancel", async (context) => context.json(await tasks.cancel(context.req.param("task"))));
  api.post("/v1/tasks/:task/retry", (context) => {
    const id = context.req.param("task");
    if (tasks.hasHostWorkspace(id)) requireLocal(context);
    return context.json(tasks.retry(id, userOf(context)), 201);
  });
  api.delete("/v1/tasks/:task", async (context) => {
    const { id } = await tasks.delete(context.req.param("task"));
    return context.json({ deleted: id, id });
  });
  api.get("/v1/tasks/:task/events", async (context) => {
    const id = tasks.get(context.req.param("task")).id;
    const isStream = (context.req.header("accept") ?? "").includes("text/event-stream");
    const last = isStream ? parseCount(context.req.header("last-event-id"), "Last-Event-ID") : undefined;
    const from = parseCount(context.req.query("from"), "from") ?? (last === undefined ? 1 : last + 1);
    const follow = isStream || context.req.query("follow") === "true";
    const maySkip = context.req.query("skip") === "true";
    return answerRaw(context, (_incoming, outgoing) =>
      tasks.useLog(id, (log) => sendEvents(outgoing, log, { from, follow, maySkip, isStream })),
    );
  });
  api.get("/v1/tasks/:task/files", (context) =>
    context.json({ files: tasks.get(context.req.param("task")).files ?? [] }),
  );
  api.get("/v1/tasks/:task/file", async (context) => {
    const offset = parseCount(context.req.query("offset"), "offset");
    const length = parseCount(context.req.query("length"), "length");
    const { body } = await tasks.openFile(context.req.param("task"), context.req.query("path") ?? "", {
      offset,
      length,
    });
    return answerRaw(context, async (_incoming, outgoing) => {
      // Bytes of a VM's making are never a page of this origin, whatever they are.
      outgoing.writeHead(200, { "content-type": "application/octet-stream", "x-content-type-options": "nosniff" });
      await pipeline(body, outgoing).catch(() => outgoing.destroy());
    });
  });
  api.get("/v1/usage", (context) =>
    context.json(
      tasks.usage(parseRequest(usageBySchema, context.req.query("by") || "agent"), {
        since: timeOf(context, "since"),
        until: timeOf(context, "until"),
      }),
    ),
  );
  api.get("/v1/agents", async (context) => context.json({ agents: await agents() }));
}

function userOf(context: ApiContext): string | undefined {
  const { caller } = context.env;
  return caller.via === "tcp" ? caller.key.name : undefined;
}

function timeOf(context: ApiContext, name: string): string | undefined {
  const text = context.req.query(name) || undefined;
  const time = text === undefined ? undefined : new Date(text);
  if (time !== undefined && Number.isNaN(time.getTime()))
    throw new FirebreakError("INVALID_ARGUMENT", `${name}: '${text}' is not a time such as 2026-01-31T12:00:00Z`);
  return time?.toISOString();
}

function parseState(text: string): TaskState {
  if ((TASK_STATES as readonly string[]).includes(text)) return text as TaskState;
  throw new FirebreakError("INVALID_ARGUMENT", `state: '${text}' is none of ${TASK_STATES.join(", ")}`);
}

/** Lines as they are in the log: nothing is parsed for those who follow, and nothing is kept for one that is slow. */
async function sendEvents(
  outgoing: ServerResponse,
  log: TaskLog,
  { from, follow, maySkip, isStream }: { from: number; follow: boolean; maySkip: boolean; isStream: boolean },
): Promise<void> {
  const signal = signalOfCaller(outgoing);
  outgoing.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/x-ndjson" });
  outgoing.flushHeaders();
  const keepalive = setInterval(() => outgoing.write(isStream ? ":\n\n" : "\n"), KEEPALIVE_MS);
  const skipped = (first: number, last: number) => {
    const text = JSON.stringify({ skipped: { from: first, to: last } });
    outgoing.write(isStream ? `event: skipped\ndata: ${text}\n\n` : `${text}\n`);
  };
  try {
    const options = { follow, signal, onSkip: skipped, ...(maySkip ? { maxBehind: MAX_BEHIND } : {}) };
    for await (const piece of log.read(from, options)) {
      if (!isStream) outgoing.write(piece);
      else if (piece.length <= MAX_COPIED) outgoing.write(toStream(piece));
      else writeLong(outgoing, piece);
      if (outgoing.writableNeedDrain) await once(outgoing, "drain", { signal }).catch(() => {});
    }
  } finally {
    clearInterval(keepalive);
    outgoing.end();
  }
}

/** Server-sent events of lines, each of which begins with its number. */
function toStream(piece: Buffer): string {
  return piece
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => `id: ${numberOf(line)}\ndata: ${line}\n\n`)
    .join("");
}

/** The same of one line that is so long that all who follow share it: it is not copied. */
function writeLong(outgoing: ServerResponse, line: Buffer): void {
  outgoing.write(`id: ${numberOf(line.toString("latin1", 0, 64))}\ndata: `);
  outgoing.write(line);
  outgoing.write("\n");
}

const numberOf = (line: string) => /^\{"seq":(\d+)/.exec(line)?.[1] ?? "";

import { Readable } from "node:stream";
import { type Task, taskCreateSchema } from "../../../src/contract/task.ts";
import type { TaskEvent } from "../../../src/contract/task-event.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";

/** Tasks in memory: each is running until it is waited for, and has completed then, with one file. */
export function createFakeTasks(): VmClient["tasks"] {
  const tasks = new Map<string, Task>();
  const bytes = Buffer.from("the result\n");
  const find = (id: string): Task => {
    const task = tasks.get(id);
    if (task === undefined) throw new FirebreakError("TASK_NOT_FOUND", `there is no task '${id}'`);
    return task;
  };
  const put = (task: Task) => {
    tasks.set(task.id, task);
    return task;
  };
  const end = (id: string, state: "completed" | "cancelled") =>
    put({
      ...find(id),
      ...{ state, finish: state, exitCode: 0, outputTail: "done\n", endedAt: "2026-01-01T00:00:02.000Z" },
      files: [{ path: "out.txt", mediaType: "text/plain", sizeBytes: bytes.length, digest: "sha256:0" }],
    });
  const create: VmClient["tasks"]["create"] = async (request) => {
    const { agent, prompt, argv, priority, labels } = taskCreateSchema.parse(request);
    return put({
      ...{ id: `t${tasks.size + 1}`, agent, prompt, argv, priority, labels, state: "running", attempt: 1 },
      ...{ createdAt: "2026-01-01T00:00:00.000Z", startedAt: "2026-01-01T00:00:01.000Z" },
    });
  };
  return {
    create,
    list: async ({ state } = {}) =>
      [...tasks.values()].reverse().filter((task) => state === undefined || state.includes(task.state)),
    get: async (id) => find(id),
    wait: async (id) => (find(id).state === "running" ? end(id, "completed") : find(id)),
    cancel: async (id) => (find(id).state === "running" ? end(id, "cancelled") : find(id)),
    retry: async (id) => {
      const { agent, prompt, argv } = find(id);
      return create({ agent, ...(prompt === undefined ? { argv } : { prompt }) });
    },
    delete: async (id) => {
      find(id);
      tasks.delete(id);
      return { deleted: id, id };
    },
    events: async function* (id, { from = 1 } = {}) {
      find(id);
      for (let seq = from; seq <= 5; seq++)
        yield {
          seq,
          at: "2026-01-01T00:00:01.000Z",
          type: "output",
          stream: "stdout",
          text: `line ${seq}\n`,
        } satisfies TaskEvent;
    },
    files: async (id) => find(id).files ?? [],
    readFile: async (_id, _path, { offset = 0, length } = {}) =>
      Readable.from([bytes.subarray(offset, length === undefined ? undefined : offset + length)]),
    agents: async () => [],
    usage: async ({ by = "agent" } = {}) => {
      const ended = [...tasks.values()].filter(({ endedAt }) => endedAt !== undefined);
      const sums = {
        ...{ tasks: ended.length, costUsd: 0.5 * ended.length, withoutCost: 0, vmSeconds: 2, memoryMibSeconds: 1024 },
        tokens: { input: 100, output: 20, cacheRead: 5, cacheWrite: 0, reasoning: 0 },
      };
      return { by, groups: ended.length === 0 ? [] : [{ key: "claude", ...sums }], total: sums };
    },
  };
}

import type { Task } from "../contract/task.ts";
import type { TaskGlance, TaskRecord } from "./task-store.ts";

/** A task as the API shows it; `position` is that in the queue, from 1. */
export function toTask(record: TaskRecord | TaskGlance, position?: number): Task {
  const {
    request,
    cancelledAt: _cancelledAt,
    vmAt: _vmAt,
    isConfined: _isConfined,
    pastUsage: _past,
    user,
    ...rest
  } = record;
  const { name, agent, prompt, argv, model, priority, labels } = request;
  const fields: Record<string, unknown> = {
    ...rest,
    name,
    agent,
    prompt,
    argv,
    model,
    priority,
    labels,
    user,
    position,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as unknown as Task;
}

import { randomBytes } from "node:crypto";
import type { TaskRecord } from "../task-store.ts";
import { toTask } from "../view.ts";
import type { Delivery } from "./delivery-store.ts";

/** What the receivers of an ended task are to be told, with the payload that the Standard Webhooks specification describes. */
export function toDeliveries(record: TaskRecord): Delivery[] {
  const { id, request, state, endedAt, createdAt, isConfined = false } = record;
  const webhooks = request.webhooks ?? [];
  if (webhooks.length === 0) return [];
  const at = endedAt ?? createdAt;
  const body = JSON.stringify({ type: `task.${state}`, timestamp: at, data: toTask(record) });
  return webhooks.map(({ url, secret }) => ({
    id: `msg_${randomBytes(16).toString("hex")}`,
    task: id,
    url,
    secret,
    isConfined,
    body,
    state: "pending",
    tries: 0,
    dueAt: at,
    reason: undefined,
  }));
}

import type { TaskRecord } from "../task-store.ts";

/** `pending`: it is due, or will be tried again. The others are ends. */
export type DeliveryState = "pending" | "delivered" | "failed";

/** One receiver to be told of one task's end. Times are ISO 8601. */
export interface Delivery {
  /** The same in all tries: receivers tell by it what they have had. */
  id: string;
  task: string;
  url: string;
  /** Name of the secret that signs. */
  secret: string | undefined;
  /** Somebody with an API key has named it: it leads to no address that is not public. */
  isConfined: boolean;
  /** What is sent; the task itself may have been deleted meanwhile. */
  body: string;
  state: DeliveryState;
  tries: number;
  dueAt: string;
  /** What became of the last try. */
  reason: string | undefined;
}

export type PendingDelivery = Omit<Delivery, "body">;

export interface DeliveryStore {
  /** Those that are pending, the one that is due first before the others. */
  pending(limit: number): PendingDelivery[];
  bodyOf(id: string): string;
  ofTask(task: string): PendingDelivery[];
  update(id: string, change: Partial<Pick<Delivery, "state" | "tries" | "dueAt" | "reason">>): void;
}

/** Of a task that has just ended: in the transaction that its end is written in. */
export type ToDeliveries = (record: TaskRecord) => Delivery[];

import type { EgressEvent } from "../contract/egress.ts";

/** Where egress events are kept. */
export interface EgressStore {
  /** Adds events, or replaces those whose ids are there, in one transaction. */
  write(events: readonly EgressEvent[]): void;
  /** The oldest first: those after `afterId`, or the newest `limit`. */
  list(filter: { vmId?: string | undefined; afterId?: number | undefined; limit: number }): EgressEvent[];
  lastId(): number;
}

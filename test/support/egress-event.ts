import type { EgressEvent } from "../../src/contract/egress.ts";

/** A task's VM that tried to reach port 443 of `a.example` and was denied, but for what is said otherwise. */
export const egressEvent = (fields: Partial<EgressEvent> = {}): EgressEvent => ({
  id: 1,
  at: "2026-01-01T00:00:00Z",
  vm: { id: "abc", name: "task-x-1" },
  protocol: "tcp",
  verdict: "denied",
  name: "a.example",
  port: 443,
  count: 1,
  state: "closed",
  sentBytes: 0,
  receivedBytes: 0,
  ...fields,
});

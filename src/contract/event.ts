import { z } from "zod";

/** The HTTP API's events: facts that are never changed. */

export const vmEventSchema = z.object({
  id: z.number().int().describe("grows with time, over all VMs; what a reader that was cut off goes on after"),
  at: z.string(),
  vmId: z.string().describe("id of the VM that it is about"),
  vm: z.string().describe("that VM's name, as it then was"),
  kind: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type VmEvent = z.infer<typeof vmEventSchema>;

export const eventPageSchema = z.object({
  events: z.array(vmEventSchema),
  more: z.boolean().describe("there are more after the last one"),
});
export type EventPage = z.infer<typeof eventPageSchema>;

export const DEFAULT_EVENT_PAGE = 1_000;
export const MAX_EVENT_PAGE = 10_000;

import { z } from "zod";
import { eventPageSchema, MAX_EVENT_PAGE } from "../event.ts";
import { type Answer, count, flag, json, type Route } from "./route.ts";

const page = {
  after: count(
    "the id of the last event that is known, 0 for all from the first; without it the newest events, and a stream of all; a stream goes by Last-Event-ID, too",
  ),
  limit: z.number().int().min(1).max(MAX_EVENT_PAGE).optional().describe("events at most"),
  follow: flag("go on with what comes, as lines or as a stream"),
};
const answer: Answer = {
  ...json(eventPageSchema),
  also: {
    "application/x-ndjson": "with `follow=true`: a line `{event}` each, without end",
    "text/event-stream": "with that in Accept: an event each, without end",
  },
};

export const eventRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/events",
    summary: "What has happened to all VMs, the oldest first",
    query: z.object({
      vm: z.string().optional().describe("of one VM only, by name, or by id once it is deleted"),
      ...page,
    }),
    answer,
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/events",
    summary: "A VM's history, the oldest first; a stream ends when the VM is deleted",
    query: z.object(page),
    answer,
  },
];

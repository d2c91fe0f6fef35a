import { z } from "zod";
import { vmPublishSchema } from "../forward.ts";
import {
  planSchema,
  startSchema,
  stopSchema,
  VM_STATES,
  vmPlanSchema,
  vmSchema,
  vmStatsSchema,
  vmUpdateSchema,
  waitSchema,
} from "../vm.ts";
import { deletedSchema, flag, json, jsonBody, lines, type Route } from "./route.ts";

export const vmRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/vms",
    summary: "All VMs",
    query: z.object({
      label: z.array(z.string()).optional().describe("KEY=VALUE, or KEY for any value; of several all have to hold"),
    }),
    answer: json(z.object({ vms: z.array(vmSchema) })),
  },
  {
    method: "POST",
    path: "/v1/vms",
    summary: "Makes a VM and starts it",
    body: jsonBody(vmPublishSchema),
    answer: lines(vmSchema),
  },
  { method: "GET", path: "/v1/vms/:vm", summary: "One VM", answer: json(vmSchema) },
  {
    method: "PATCH",
    path: "/v1/vms/:vm",
    summary: "Changes a VM, whatever its state; null takes a label or a limit away",
    body: jsonBody(vmUpdateSchema),
    answer: json(vmSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/wait",
    summary: "Waits until a VM is in one of some states, or deleted",
    body: jsonBody(waitSchema),
    answer: lines(z.object({ state: z.enum([...VM_STATES, "deleted"]), vm: vmSchema.optional() })),
  },
  { method: "DELETE", path: "/v1/vms/:vm", summary: "Deletes a VM and its disk", answer: json(deletedSchema) },
  {
    method: "POST",
    path: "/v1/vms/:vm/plan",
    summary: "What would be done to bring a VM to a state; nothing is",
    body: jsonBody(planSchema),
    answer: json(vmPlanSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/start",
    summary: "Starts a VM that does not run",
    body: jsonBody(startSchema),
    answer: lines(vmSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/stop",
    summary: "Stops a VM; its disk stays",
    body: jsonBody(stopSchema),
    answer: lines(vmSchema),
  },
  { method: "POST", path: "/v1/vms/:vm/pause", summary: "Makes a VM stand still", answer: json(vmSchema) },
  {
    method: "POST",
    path: "/v1/vms/:vm/resume",
    summary: "Lets a paused VM go on, and brings a suspended one back",
    answer: json(vmSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/suspend",
    summary: "Saves a VM to disk and ends its VMM",
    answer: lines(vmSchema),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/stats",
    summary: "What a VM uses; it is no use of the VM",
    answer: json(vmStatsSchema),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/logs",
    summary: "A VM's console, of which the last MiB is kept",
    query: z.object({
      follow: flag("go on with what comes; a stream does unless told otherwise"),
      stream: z.enum(["sse"]).optional().describe("as a stream of events; Accept may say so, too"),
    }),
    answer: {
      form: "text",
      also: {
        "text/event-stream":
          "events `text` (a JSON string), `skipped` (bytes that a reader who did not keep up has missed) and `end` (no more will come)",
      },
    },
  },
];

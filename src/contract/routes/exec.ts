import { z } from "zod";
import { execInfoSchema, execListSchema } from "../../guest/protocol.ts";
import { runPublishSchema } from "../forward.ts";
import { execSpecSchema, killSchema, resizeSchema, signalSchema } from "../vm.ts";
import { count, flag, json, jsonBody, nothing, peekFlag, type Route } from "./route.ts";

export const execRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/run",
    summary: "Runs a command in a VM made for it, which is deleted when the answer ends",
    body: { form: "frames", spec: runPublishSchema },
    answer: { form: "frames" },
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/exec",
    summary: "Runs a command in a VM",
    body: { form: "frames", spec: execSpecSchema },
    answer: { form: "frames" },
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/exec",
    summary: "The same over WebSocket: binary messages hold the frames, each way",
    answer: { form: "frames", status: 101 },
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/execs",
    summary: "Commands that run in a VM or have run",
    answer: json(execListSchema),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/execs/:id",
    summary: "One command",
    query: z.object({ peek: peekFlag }),
    answer: json(execInfoSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/execs/:id/attach",
    summary: "Goes on with a command's output",
    query: z.object({
      from: count("the offset in the output to begin at"),
      follow: flag("go on until the command ends (the default), or end with what there is"),
    }),
    body: { form: "frames" },
    answer: { form: "frames" },
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/execs/:id/signal",
    summary: "Sends a signal to a command's process group",
    body: jsonBody(signalSchema),
    answer: nothing,
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/execs/:id/resize",
    summary: "Sets the size of a command's terminal",
    body: jsonBody(resizeSchema),
    answer: nothing,
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/execs/:id/kill",
    summary: "Ends a command's process group: TERM, then KILL",
    body: jsonBody(killSchema),
    answer: nothing,
  },
  { method: "DELETE", path: "/v1/vms/:vm/execs/:id", summary: "Forgets a command that has ended", answer: nothing },
];

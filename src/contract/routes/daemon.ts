import { z } from "zod";
import { daemonStatusSchema, doctorCheckSchema, shutdownSchema } from "../daemon.ts";
import { listenSchema, listenStatusSchema } from "../listen.ts";
import { json, jsonBody, nothing, type Route } from "./route.ts";

export const daemonRoutes: Route[] = [
  { method: "GET", path: "/v1/status", summary: "What the daemon is and where", answer: json(daemonStatusSchema) },
  {
    method: "GET",
    path: "/v1/doctor",
    summary: "Checks what firebreak needs of its host",
    answer: json(z.object({ checks: z.array(doctorCheckSchema) })),
  },
  {
    method: "POST",
    path: "/v1/doctor/fix",
    summary: "Removes what no VM owns",
    answer: json(z.object({ removed: z.array(z.string()).describe("what that was") })),
  },
  {
    method: "GET",
    path: "/v1/openapi.json",
    summary: "This API's OpenAPI document",
    answer: json(z.record(z.string(), z.unknown())),
  },
  {
    method: "POST",
    path: "/v1/shutdown",
    summary: "Takes no new work, then ends the daemon; VMs go on unless `vms` says otherwise",
    body: jsonBody(shutdownSchema),
    answer: json(z.object({ pid: z.number().int() }), 202),
    isLocal: true,
  },
  {
    method: "PUT",
    path: "/v1/listen",
    summary: "Answers over TCP there from now on, for callers with an API key",
    body: jsonBody(listenSchema),
    answer: json(listenStatusSchema),
    isLocal: true,
  },
  {
    method: "DELETE",
    path: "/v1/listen",
    summary: "Answers on the UNIX socket only from now on",
    answer: nothing,
    isLocal: true,
  },
];

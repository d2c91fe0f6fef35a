import { z } from "zod";
import { forwardCreateSchema, forwardSchema } from "../forward.ts";
import { json, jsonBody, type Route } from "./route.ts";

export const forwardRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/forwards",
    summary: "All port forwards, the oldest first",
    answer: json(z.object({ forwards: z.array(forwardSchema) })),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/forwards",
    summary: "The port forwards of one VM",
    answer: json(z.object({ forwards: z.array(forwardSchema) })),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/forwards",
    summary: "Opens a port of this host to a port of a VM",
    body: jsonBody(forwardCreateSchema),
    answer: json(forwardSchema, 201),
  },
  {
    method: "GET",
    path: "/v1/forwards/:forward",
    summary: "One port forward: state, counters, why the last connection was closed at once",
    answer: json(forwardSchema),
  },
  {
    method: "DELETE",
    path: "/v1/forwards/:forward",
    summary: "Deletes a port forward and cuts its connections",
    answer: json(z.object({ deleted: z.string() })),
  },
];

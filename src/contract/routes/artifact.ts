import { z } from "zod";
import { artifactCreateSchema, artifactSchema } from "../artifact.ts";
import { count, deletedSchema, json, jsonBody, lines, type Route } from "./route.ts";

export const artifactRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/vms/:vm/artifacts",
    summary: "Keeps a file or directory of a VM, which outlives the VM",
    body: jsonBody(artifactCreateSchema),
    answer: lines(artifactSchema),
  },
  {
    method: "GET",
    path: "/v1/artifacts",
    summary: "All artifacts, the oldest first",
    answer: json(z.object({ artifacts: z.array(artifactSchema) })),
  },
  {
    method: "GET",
    path: "/v1/artifacts/:artifact",
    summary: "One artifact, by name or id",
    answer: json(artifactSchema),
  },
  {
    method: "GET",
    path: "/v1/artifacts/:artifact/content",
    summary: "An artifact's bytes, or a part of them",
    query: z.object({ offset: count("first byte"), length: count("most bytes") }),
    answer: { form: "bytes", type: "application/octet-stream" },
  },
  {
    method: "DELETE",
    path: "/v1/artifacts/:artifact",
    summary: "Deletes an artifact",
    answer: json(deletedSchema),
  },
];

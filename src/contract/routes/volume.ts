import { z } from "zod";
import { driveSchema, volumeCreateSchema } from "../drive.ts";
import { deletedSchema, json, jsonBody, type Route } from "./route.ts";

/** Volumes are the drives that have a file system. */
export const volumeRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/volumes",
    summary: "All volumes, which are the drives with a file system",
    answer: json(z.object({ volumes: z.array(driveSchema) })),
  },
  {
    method: "POST",
    path: "/v1/volumes",
    summary: "Makes an empty volume",
    body: jsonBody(volumeCreateSchema),
    answer: json(driveSchema, 201),
  },
  { method: "GET", path: "/v1/volumes/:volume", summary: "One volume", answer: json(driveSchema) },
  {
    method: "DELETE",
    path: "/v1/volumes/:volume",
    summary: "Deletes a volume that no VM has, with all that is on it",
    answer: json(deletedSchema),
  },
];

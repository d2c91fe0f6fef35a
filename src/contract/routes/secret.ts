import { z } from "zod";
import { deletedSecretSchema, secretRotateSchema, secretSchema, secretSetSchema } from "../secret.ts";
import { flag, json, jsonBody, type Route } from "./route.ts";

export const secretRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/secrets",
    summary: "All secrets, without their values",
    answer: json(z.object({ secrets: z.array(secretSchema) })),
  },
  { method: "GET", path: "/v1/secrets/:secret", summary: "One secret, without its value", answer: json(secretSchema) },
  {
    method: "PUT",
    path: "/v1/secrets/:secret",
    summary: "Keeps a secret, or changes one; what is not given stays",
    body: jsonBody(secretSetSchema),
    answer: json(secretSchema),
    isLocal: true,
  },
  {
    method: "PUT",
    path: "/v1/secrets/:secret/value",
    summary: "Gives a secret another value, which running VMs use with their next request",
    body: jsonBody(secretRotateSchema),
    answer: json(secretSchema),
    isLocal: true,
  },
  {
    method: "DELETE",
    path: "/v1/secrets/:secret",
    summary: "Deletes a secret",
    query: z.object({ force: flag("also one that VMs may use") }),
    answer: json(deletedSecretSchema),
  },
];

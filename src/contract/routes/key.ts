import { z } from "zod";
import { apiKeySchema, createdKeySchema, keyCreateSchema } from "../key.ts";
import { json, jsonBody, type Route } from "./route.ts";

export const keyRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/keys",
    summary: "All API keys, without what they are",
    answer: json(z.object({ keys: z.array(apiKeySchema) })),
    isLocal: true,
  },
  {
    method: "POST",
    path: "/v1/keys",
    summary: "Makes an API key, which is told this once",
    body: jsonBody(keyCreateSchema),
    answer: json(createdKeySchema, 201),
    isLocal: true,
  },
  {
    method: "DELETE",
    path: "/v1/keys/:key",
    summary: "Revokes an API key and ends its connections",
    answer: json(z.object({ revoked: apiKeySchema })),
    isLocal: true,
  },
];

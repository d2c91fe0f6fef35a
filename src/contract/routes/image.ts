import { z } from "zod";
import { imageInfoSchema } from "../daemon.ts";
import { buildSchema } from "../vm.ts";
import { json, jsonBody, lines, type Route } from "./route.ts";

export const imageRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/images",
    summary: "All images",
    answer: json(z.object({ images: z.array(imageInfoSchema) })),
  },
  { method: "GET", path: "/v1/images/:name", summary: "One image", answer: json(imageInfoSchema) },
  {
    method: "POST",
    path: "/v1/images/:name/build",
    summary: "Builds an image, unless it is up to date",
    body: jsonBody(buildSchema),
    answer: lines(z.object({ image: imageInfoSchema, isUpToDate: z.boolean() })),
  },
];

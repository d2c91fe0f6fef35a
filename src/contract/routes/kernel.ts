import { z } from "zod";
import { kernelInfoSchema } from "../daemon.ts";
import { kernelBuildSchema } from "../vm.ts";
import { json, jsonBody, lines, type Route } from "./route.ts";

export const kernelRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/kernels",
    summary: "All kernels",
    answer: json(z.object({ kernels: z.array(kernelInfoSchema) })),
  },
  {
    method: "POST",
    path: "/v1/kernels/build",
    summary: "Builds the small kernel, unless it is up to date",
    body: jsonBody(kernelBuildSchema),
    answer: lines(z.object({ kernel: kernelInfoSchema, isUpToDate: z.boolean() })),
  },
  {
    method: "POST",
    path: "/v1/kernels/:id/use",
    summary: "Gives a kernel to new VMs; `stock` is Debian's, fetched when there is none",
    answer: lines(kernelInfoSchema),
  },
  {
    method: "POST",
    path: "/v1/kernels/:id/verify",
    summary: "Compares a kernel's files with their digests; `current` and `stock` are ids too",
    answer: json(kernelInfoSchema),
  },
  {
    method: "GET",
    path: "/v1/kernels/:id",
    summary: "One kernel; `current` and `stock` are ids too",
    answer: json(kernelInfoSchema),
  },
  {
    method: "DELETE",
    path: "/v1/kernels/:id",
    summary: "Deletes a kernel that neither new VMs nor one that is there gets",
    answer: json(z.object({ deleted: z.string() })),
  },
];

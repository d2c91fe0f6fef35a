import { z } from "zod";
import {
  forkSchema,
  pruneSchema,
  snapshotCreateSchema,
  snapshotDetailsSchema,
  snapshotSchema,
  templateCreateSchema,
  templateSchema,
} from "../snapshot.ts";
import { vmSchema } from "../vm.ts";
import { deletedSchema, json, jsonBody, lines, type Route } from "./route.ts";

export const snapshotRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/vms/:vm/fork",
    summary: "Makes a second VM that goes on where this one stands",
    body: jsonBody(forkSchema),
    answer: lines(vmSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/snapshots",
    summary: "Takes a snapshot of a VM, which goes on",
    body: jsonBody(snapshotCreateSchema),
    answer: lines(snapshotSchema),
  },
  {
    method: "GET",
    path: "/v1/snapshots",
    summary: "All snapshots that are whole, the oldest first",
    answer: json(z.object({ snapshots: z.array(snapshotSchema) })),
  },
  {
    method: "GET",
    path: "/v1/snapshots/:snapshot",
    summary: "One snapshot, and what it descends from",
    answer: json(snapshotDetailsSchema),
  },
  {
    method: "POST",
    path: "/v1/snapshots/:snapshot/fork",
    summary: "Makes a new VM that goes on from a snapshot",
    body: jsonBody(forkSchema),
    answer: lines(vmSchema),
  },
  {
    method: "POST",
    path: "/v1/snapshots/:snapshot/restore",
    summary: "Takes a snapshot's VM back to it, made again if it has been deleted",
    answer: lines(vmSchema),
  },
  {
    method: "DELETE",
    path: "/v1/snapshots/:snapshot",
    summary: "Deletes a snapshot",
    answer: json(deletedSchema),
  },
  {
    method: "GET",
    path: "/v1/templates",
    summary: "All templates; from a stale one no VM is forked any more",
    answer: json(z.object({ templates: z.array(templateSchema) })),
  },
  {
    method: "GET",
    path: "/v1/templates/:id",
    summary: "One template",
    answer: json(templateSchema),
  },
  {
    method: "POST",
    path: "/v1/templates",
    summary: "Makes the template of a kind of VM, where there is none",
    body: jsonBody(templateCreateSchema),
    answer: lines(templateSchema),
  },
  {
    method: "POST",
    path: "/v1/templates/prune",
    summary: "Deletes the stale templates, or all",
    body: jsonBody(pruneSchema),
    answer: json(z.object({ pruned: z.array(templateSchema) })),
  },
  {
    method: "DELETE",
    path: "/v1/templates/:id",
    summary: "Deletes a template",
    answer: json(z.object({ deleted: z.string() })),
  },
];

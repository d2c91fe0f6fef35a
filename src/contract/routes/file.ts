import { z } from "zod";
import { archiveResultSchema, directorySchema, fileStatSchema } from "../../guest/protocol.ts";
import { moveSchema } from "../vm.ts";
import { count, flag, guestPath, json, jsonBody, peekFlag, type Route } from "./route.ts";

const mode = z.string().optional().describe("octal, such as 0644");
const parents = flag("make the folders above it that are missing");

export const fileRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/vms/:vm/file",
    summary: "A file's bytes",
    query: z.object({ path: guestPath, offset: count("bytes to skip"), length: count("bytes at most") }),
    answer: {
      form: "bytes",
      type: "application/octet-stream",
      headers: { "firebreak-stat": "the file's stat as JSON, percent-encoded" },
    },
  },
  {
    method: "PUT",
    path: "/v1/vms/:vm/file",
    summary: "Writes a file, whole or not at all",
    query: z.object({ path: guestPath, mode, parents }),
    body: { form: "bytes", type: "application/octet-stream" },
    answer: json(fileStatSchema),
  },
  {
    method: "DELETE",
    path: "/v1/vms/:vm/file",
    summary: "Deletes a file or a directory",
    query: z.object({ path: guestPath, recursive: flag("with all that is in it") }),
    answer: json(z.object({ deleted: z.string() })),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/stat",
    summary: "What a path is",
    query: z.object({
      path: guestPath,
      follow: flag("of what a symbolic link points to (the default), or of itself"),
      peek: peekFlag,
    }),
    answer: json(fileStatSchema),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/dir",
    summary: "A directory's entries, by name",
    query: z.object({
      path: guestPath,
      limit: z.number().int().min(1).max(10_000).optional().describe("entries at most (1000)"),
      after: z.string().optional().describe("the name that the last page ended with"),
    }),
    answer: json(directorySchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/dir",
    summary: "Makes a directory",
    query: z.object({ path: guestPath, mode, parents }),
    answer: json(fileStatSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/move",
    summary: "Moves a file or a directory",
    body: jsonBody(moveSchema),
    answer: json(z.object({ moved: z.string() })),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/archive",
    summary: "A file or a directory as a tar stream",
    query: z.object({ path: guestPath }),
    answer: { form: "bytes", type: "application/x-tar" },
  },
  {
    method: "PUT",
    path: "/v1/vms/:vm/archive",
    summary: "Unpacks a tar stream into a directory",
    query: z.object({ path: guestPath }),
    body: { form: "bytes", type: "application/x-tar" },
    answer: json(archiveResultSchema),
  },
];

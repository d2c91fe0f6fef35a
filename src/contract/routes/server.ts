import { z } from "zod";
import {
  serverAppliedSchema,
  serverApplySchema,
  serverApproveSchema,
  serverScanSchema,
  serverSchema,
  serverUpdatedSchema,
  serverUpdateSchema,
} from "../server.ts";
import { flag, json, jsonBody, lines, type Route } from "./route.ts";

export const serverRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/servers",
    summary: "All MCP servers",
    answer: json(z.object({ servers: z.array(serverSchema) })),
  },
  {
    method: "PUT",
    path: "/v1/servers",
    summary: "All MCP servers of one file, in the place of those that came from it before",
    body: jsonBody(serverApplySchema),
    answer: json(serverAppliedSchema),
    isLocal: true,
  },
  { method: "GET", path: "/v1/servers/:server", summary: "One MCP server", answer: json(serverSchema) },
  {
    method: "POST",
    path: "/v1/servers/:server/prepare",
    summary: "Installs, starts, lists and saves an MCP server, if that has not been done",
    answer: lines(serverSchema),
  },
  {
    method: "POST",
    path: "/v1/servers/:server/start",
    summary: "Brings an MCP server up, so that its next call finds it running",
    answer: lines(serverSchema),
  },
  {
    method: "POST",
    path: "/v1/servers/:server/stop",
    summary: "Ends an MCP server's VMs; its next call begins with what was saved",
    answer: json(serverSchema),
  },
  {
    method: "POST",
    path: "/v1/servers/:server/scan",
    summary: "Asks an MCP server what it offers, and tells what there is to say of that",
    answer: lines(serverScanSchema),
  },
  {
    method: "POST",
    path: "/v1/servers/:server/approve",
    summary: "Approves what an MCP server offers now, all of it or a part",
    body: jsonBody(serverApproveSchema),
    answer: lines(serverScanSchema),
    isLocal: true,
  },
  {
    method: "POST",
    path: "/v1/servers/:server/update",
    summary: "Installs an MCP server anew, and tells what that changes",
    body: jsonBody(serverUpdateSchema),
    answer: lines(serverUpdatedSchema),
  },
  {
    method: "DELETE",
    path: "/v1/servers/:server",
    summary: "Deletes an MCP server, with what was saved of it",
    answer: json(z.object({ deleted: z.string() })),
  },
  {
    method: "GET",
    path: "/v1/servers/:server/log",
    summary: "What an MCP server has printed beside the protocol",
    query: z.object({ follow: flag("go on with what it prints from now on") }),
    answer: { form: "bytes", type: "text/plain; charset=utf-8" },
  },
];

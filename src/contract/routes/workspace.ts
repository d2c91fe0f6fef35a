import { z } from "zod";
import {
  backupRestoreSchema,
  workspaceBackupSchema,
  workspacePullSchema,
  workspacePushSchema,
  workspaceReportSchema,
  workspaceSchema,
  workspaceStatusSchema,
} from "../workspace.ts";
import { json, jsonBody, lines, type Route } from "./route.ts";

export const workspaceRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/workspaces",
    summary: "The workspaces of all VMs, also of VMs that went with their command, the last twenty",
    answer: json(z.object({ workspaces: z.array(workspaceSchema) })),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/workspace",
    summary: "A VM's workspace",
    answer: json(workspaceSchema),
  },
  {
    method: "DELETE",
    path: "/v1/vms/:vm/workspace",
    summary: "Syncs a VM's workspace no more; its files stay on both sides",
    answer: json(z.object({ detached: z.string(), id: z.string() })),
    isLocal: true,
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/workspace/push",
    summary: "Copies a host directory into a VM, or what has changed in it since",
    body: jsonBody(workspacePushSchema),
    answer: lines(workspaceReportSchema),
    isLocal: true,
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/workspace/pull",
    summary: "Brings what the VM has changed back to the host, after a backup",
    body: jsonBody(workspacePullSchema),
    answer: lines(workspaceReportSchema),
    isLocal: true,
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/workspace/status",
    summary: "What a push and a pull would do now",
    answer: lines(workspaceStatusSchema),
    isLocal: true,
  },
  {
    method: "GET",
    path: "/v1/backups",
    summary: "Backups of host directories that pulls have changed, the newest first",
    answer: json(z.object({ backups: z.array(workspaceBackupSchema) })),
  },
  {
    method: "POST",
    path: "/v1/backups/:backup/restore",
    summary: "Makes a directory what it was at a backup, after a backup of what it is now",
    body: jsonBody(backupRestoreSchema),
    answer: lines(workspaceReportSchema),
    isLocal: true,
  },
  {
    method: "DELETE",
    path: "/v1/backups/:backup",
    summary: "Deletes a backup",
    answer: json(z.object({ deleted: z.string() })),
    isLocal: true,
  },
];

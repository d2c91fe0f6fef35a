import { z } from "zod";
import {
  DRIVE_CONTENTS,
  driveAttachSchema,
  driveCreateSchema,
  driveDetachSchema,
  driveGrowSchema,
  driveSchema,
  driveSizeSchema,
  vmDriveSchema,
} from "../drive.ts";
import { deletedSchema, json, jsonBody, lines, type Route } from "./route.ts";

export const driveRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/drives",
    summary: "All drives, volumes among them",
    answer: json(z.object({ drives: z.array(driveSchema) })),
  },
  {
    method: "POST",
    path: "/v1/drives",
    summary: "Makes an empty drive, with an ext4 file system unless asked otherwise",
    body: jsonBody(driveCreateSchema),
    answer: json(driveSchema, 201),
  },
  { method: "GET", path: "/v1/drives/:drive", summary: "One drive", answer: json(driveSchema) },
  {
    method: "PUT",
    path: "/v1/drives/:drive",
    summary: "Makes a drive with what is sent: its bytes, or the files of a tar archive, which become root's",
    query: z.object({
      content: z.enum(DRIVE_CONTENTS).describe("what is sent: the bytes of the drive, or its files in a tar archive"),
      sizeMib: driveSizeSchema.optional().describe("without one it has 1.5 times its content, and at least 64 MiB"),
    }),
    body: { form: "bytes", type: "application/octet-stream" },
    answer: json(driveSchema, 201),
  },
  {
    method: "POST",
    path: "/v1/drives/:drive/grow",
    summary: "Enlarges a drive and its file system, also while a VM uses it",
    body: jsonBody(driveGrowSchema),
    answer: lines(driveSchema),
  },
  {
    method: "DELETE",
    path: "/v1/drives/:drive",
    summary: "Deletes a drive that no VM has, with all that is on it",
    answer: json(deletedSchema),
  },
  {
    method: "GET",
    path: "/v1/vms/:vm/drives",
    summary: "The drives that a VM has",
    answer: json(z.object({ drives: z.array(vmDriveSchema) })),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/drives",
    summary: "Gives a VM a drive, at once when it runs; with a path it is mounted there, after each start too",
    body: jsonBody(driveAttachSchema),
    answer: lines(vmDriveSchema),
  },
  {
    method: "POST",
    path: "/v1/vms/:vm/drives/:drive/detach",
    summary: "Takes a drive from a VM; force takes it though it is in use",
    body: jsonBody(driveDetachSchema),
    answer: lines(vmDriveSchema),
  },
];

import { z } from "zod";
import type { ErrorBody } from "../errors/firebreak-error.ts";
import { listenStatusSchema } from "./listen.ts";
import type { Progress } from "./vm.ts";

const count = z.number().int().nonnegative();

export const daemonStatusSchema = z.object({
  version: z.string(),
  apiVersion: z.number().int(),
  pid: z.number().int(),
  startedAt: z.string(),
  home: z.string(),
  socket: z.string(),
  vms: z.object({ total: count, running: count }),
  rssBytes: count,
  draining: z.object({ requests: count }).optional().describe("it takes no new work and waits for what is under way"),
  listen: listenStatusSchema.optional().describe("where it listens besides its socket, or was told to"),
});
export type DaemonStatus = z.infer<typeof daemonStatusSchema>;

/** What becomes of running VMs when the daemon ends: by default they go on, and the next daemon finds them. */
export const VMS_AT_SHUTDOWN = ["keep", "suspend", "stop"] as const;

export const shutdownSchema = z.strictObject({
  /** How long requests under way may take, ms. */
  drainMs: z
    .number()
    .int()
    .min(0)
    .max(3600 * 1000, "at most an hour")
    .optional(),
  vms: z.enum(VMS_AT_SHUTDOWN, VMS_AT_SHUTDOWN.join(", ")).optional(),
});
export type ShutdownRequest = z.input<typeof shutdownSchema>;

export const kernelInfoSchema = z.object({
  id: z.string(),
  release: z.string().describe("`uname -r` of a guest"),
  kind: z.enum(["stock", "built"]).describe("Debian's as it is, or built from Debian's source with our configuration"),
  isCurrent: z.boolean().describe("new VMs get it"),
  sizeBytes: count.describe("of all its files"),
  package: z.string().describe("the Debian package that it came from"),
  version: z.string().describe("that package's version"),
  createdAt: z.string(),
});
export type KernelInfo = z.infer<typeof kernelInfoSchema>;

export const doctorCheckSchema = z.object({
  name: z.string(),
  ok: z.boolean(),
  optional: z.boolean().optional().describe("a thing that is missing but not needed for the main job"),
  message: z.string(),
  hint: z.string().optional(),
});
export type DoctorCheck = z.infer<typeof doctorCheckSchema>;

/** One line of an `application/x-ndjson` answer: any number of progress lines, then a result or an error. */
export type StreamLine<T> = { progress: Progress } | { result: T } | { error: ErrorBody };

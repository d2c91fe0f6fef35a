import { z } from "zod";
import { runSpecSchema, vmCreateSchema } from "./vm.ts";

/** The HTTP API's forward resource: a port of this host behind which a port of a VM is. */

const count = z.number().int().nonnegative();
const port = z.number().int().max(65_535, "at most 65535");

const [ipv4, ipv6] = [z.ipv4(), z.ipv6()];

function isIpAddress(value: string): boolean {
  return ipv4.safeParse(value).success || ipv6.safeParse(value).success;
}

export const forwardCreateSchema = z.strictObject({
  guestPort: port.min(1, "at least 1"),
  hostPort: port.min(0, "at least 0").default(0).describe("0: any that is free"),
  hostAddress: z
    .string()
    .refine(isIpAddress, "an IP address of this host, such as 127.0.0.1 or 0.0.0.0")
    .default("127.0.0.1")
    .describe("another than a loopback address lets other machines in"),
});
export type ForwardCreate = z.input<typeof forwardCreateSchema>;
export type ForwardCreateParsed = z.output<typeof forwardCreateSchema>;

/** For a person's own use, and a bound on what a daemon opens at its start. */
export const MAX_FORWARDS_PER_VM = 64;

/** Ports that a new VM is published on: taken before it is made, so that one that is not free costs no VM. */
const publishSchema = z.array(forwardCreateSchema).max(MAX_FORWARDS_PER_VM).optional();

/** Body of POST /v1/vms. */
export const vmPublishSchema = vmCreateSchema.extend({ publish: publishSchema });
export type VmPublish = z.input<typeof vmPublishSchema>;

/** First frame of POST /v1/run. */
export const runPublishSchema = runSpecSchema.extend({ publish: publishSchema });
export type RunPublish = z.input<typeof runPublishSchema>;

export const FORWARD_STATES = ["listening", "inactive", "failed"] as const;
export type ForwardState = (typeof FORWARD_STATES)[number];

export const forwardSchema = z.object({
  id: z.string(),
  vm: z.object({ id: z.string(), name: z.string() }),
  hostAddress: z.string(),
  hostPort: z.number().int(),
  guestPort: z.number().int(),
  state: z.enum(FORWARD_STATES).describe("inactive while its VM does not run; failed while it cannot listen"),
  reason: z.string().optional().describe("why it does not listen"),
  warning: z.string().optional().describe("who else gets in"),
  notice: z
    .object({ at: z.string(), code: z.string(), message: z.string() })
    .optional()
    .describe("why a connection was closed at once, the last time; gone once one has come through"),
  connections: z
    .object({ open: count, total: count, refused: count })
    .describe("since the daemon began; those that were closed at once are the refused ones"),
  bytes: z.object({ toGuest: count, fromGuest: count }),
  createdAt: z.string(),
});
export type Forward = z.infer<typeof forwardSchema>;

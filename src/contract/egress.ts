import { z } from "zod";
import { egressPolicySchema } from "./policy.ts";
import { secretGrantsSchema } from "./secret.ts";

/** What has become of a guest's try to get out. */
export const EGRESS_VERDICTS = ["allowed", "denied", "failed"] as const;
export const EGRESS_PROTOCOLS = ["dns", "tcp", "http", "udp", "icmp", "other"] as const;

const bytes = z.number().int().nonnegative();

/** One try of a guest to get out, or several equal ones in a row. */
export const egressEventSchema = z.object({
  id: z.number().int().describe("one more for each; a connection that ends has the id that it began with"),
  at: z.string(),
  vm: z.object({ id: z.string(), name: z.string() }),
  protocol: z.enum(EGRESS_PROTOCOLS),
  verdict: z.enum(EGRESS_VERDICTS),
  name: z.string().optional().describe("as the guest asked for it"),
  port: z.number().int().optional(),
  address: z.string().optional().describe("what was dialled, or what the guest wanted without a name"),
  rule: z.string().optional().describe("the rule of the policy that decided"),
  why: z.string().optional(),
  count: z.number().int().describe("how many equal ones this stands for"),
  state: z.enum(["open", "closed"]).describe("`open`: a connection that goes on"),
  sentBytes: bytes.describe("from the VM"),
  receivedBytes: bytes.describe("to the VM"),
  durationMs: z.number().optional(),
});
export type EgressEvent = z.infer<typeof egressEventSchema>;

export const DEFAULT_EGRESS_PAGE = 200;
export const MAX_EGRESS_PAGE = 10_000;
export const egressPageSchema = z.object({
  events: z.array(egressEventSchema),
  more: z.boolean().describe("there are more after the last one"),
});
export type EgressPage = z.infer<typeof egressPageSchema>;

/** Body of PUT /v1/vms/VM/policy. */
export const vmPolicySetSchema = z.strictObject({
  ...egressPolicySchema.shape,
  secrets: secretGrantsSchema.optional().describe("what it may use on its way out; without, that stays as it is"),
});
export type VmPolicySet = z.input<typeof vmPolicySetSchema>;

/** Answer of GET /v1/vms/VM/policy. */
export const vmPolicySchema = z.object({
  vm: z.string(),
  policy: egressPolicySchema,
  secrets: secretGrantsSchema,
  warnings: z.array(z.string()).describe("rules that have no effect, or more than they seem to"),
});
export type VmPolicy = z.infer<typeof vmPolicySchema>;

/** What a guest says that it has refused by itself. It is hostile: bounded and parsed strictly. */
export const guestRefusalsSchema = z.strictObject({
  refusals: z
    .array(
      z.strictObject({
        protocol: z.enum(["tcp", "udp", "icmp", "other"]),
        address: z.union([z.ipv4(), z.ipv6()]),
        port: z.number().int().min(0).max(65_535).nullable().optional(),
        count: z.number().int().min(1).max(1_000_000),
      }),
    )
    .max(64),
});

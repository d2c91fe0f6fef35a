import { z } from "zod";

/** Network cards of VMs (policies of the mode `nat`): what the host has been set up with for them. */

/** `tap`: a bridge and a table of nftables, with rules for each VM. `user`: QEMU's own, without root and without rules. */
export const NAT_KINDS = ["tap", "user"] as const;
export type NatKind = (typeof NAT_KINDS)[number];

/** Body of PUT /v1/network. */
export const natSetupSchema = z.strictObject({
  kind: z.enum(NAT_KINDS).default("tap").describe("`user` lets VMs reach what listens on this host's loopback"),
  subnet: z.string().max(64).optional().describe("a private IPv4 network that VMs get their addresses of"),
  nameservers: z
    .array(z.ipv4())
    .max(3)
    .optional()
    .describe("what VMs ask for names, none for an empty list; without, the name servers of this host"),
});
export type NatSetup = z.input<typeof natSetupSchema>;

export const natStatusSchema = z.object({
  isSetUp: z.boolean(),
  kind: z.enum(NAT_KINDS).optional(),
  subnet: z.string().optional(),
  gateway: z.string().optional().describe("the bridge's address"),
  nameservers: z.array(z.string()),
  vms: z.array(z.object({ vm: z.string(), address: z.string(), device: z.string().optional() })),
  drift: z.array(z.string()).describe("what is not as it should be at this moment"),
  lastRepair: z.object({ at: z.string(), what: z.array(z.string()) }).optional(),
});
export type NatStatus = z.infer<typeof natStatusSchema>;

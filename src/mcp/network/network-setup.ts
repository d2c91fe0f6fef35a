import { z } from "zod";
import { NAT_KINDS, natStatusSchema } from "../../contract/nat.ts";
import { defineTool } from "../tool.ts";
import { describeNetwork } from "./network-view.ts";

export const networkSetup = defineTool({
  name: "network_setup",
  title: "Prepare the host for network cards",
  description:
    "Changes the host so that VMs can have a network card (mode nat): a bridge, packet forwarding, a table of nftables. Names (allow) need none of it. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    kind: z
      .enum(NAT_KINDS)
      .default("tap")
      .describe("user: without root and rules; VMs then reach what listens on the host's loopback."),
    subnet: z.string().max(64).optional().describe("Private network for VMs (default: 10.201.0.0/16)."),
  }),
  outputSchema: natStatusSchema,
  confirm: async ({ kind, subnet }, { client, signal }) => {
    const state = await client.network.status({ signal });
    const steps =
      kind === "user"
        ? ["VMs with mode nat reach any address that the host does, its loopback too"]
        : [
            `make the bridge fbbr0 with addresses of ${subnet ?? "10.201.0.0/16"}`,
            "have the host forward packets",
            "make the tables 'inet firebreak' and 'netdev firebreak' of nftables, and look after them",
          ];
    return { steps, state };
  },
  handler: async (request, { client, signal }) => {
    const { kind, subnet } = request;
    const status = await client.network.setUp({ kind, ...(subnet === undefined ? {} : { subnet }) }, { signal });
    return { structured: status, facts: ["set up"], text: describeNetwork(status) };
  },
});

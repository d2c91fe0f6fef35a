import { z } from "zod";
import { natStatusSchema } from "../../contract/nat.ts";
import { defineTool } from "../tool.ts";
import { describeNetwork } from "./network-view.ts";

export const networkStatus = defineTool({
  name: "network_status",
  title: "Show how the host is set up for network cards",
  description: "Shows whether VMs can have a network card (mode nat), which have one, and what is not as it should be.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: natStatusSchema,
  handler: async (_request, { client, signal }) => {
    const status = await client.network.status({ signal });
    return { structured: status, facts: [status.isSetUp ? "set up" : "not set up"], text: describeNetwork(status) };
  },
});

import { z } from "zod";
import { natStatusSchema } from "../../contract/nat.ts";
import { defineTool } from "../tool.ts";
import { describeNetwork } from "./network-view.ts";

export const networkTeardown = defineTool({
  name: "network_teardown",
  title: "Take the host's set-up for network cards back",
  description: "Removes bridge, table and forwarding again. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: natStatusSchema,
  confirm: async (_request, { client, signal }) => ({
    steps: [
      "remove the bridge fbbr0, the tables 'inet firebreak' and 'netdev firebreak', and packet forwarding if it was set for them",
    ],
    state: await client.network.status({ signal }),
  }),
  handler: async (_request, { client, signal }) => {
    const status = await client.network.tearDown({ signal });
    return { structured: status, facts: ["taken back"], text: describeNetwork(status) };
  },
});

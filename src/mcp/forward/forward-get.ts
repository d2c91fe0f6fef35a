import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeForward, forwardArgument, forwardViewSchema, toForwardView } from "./forward-view.ts";

export const forwardGet = defineTool({
  name: "forward_get",
  title: "Show a port forward",
  description: "Shows one port forward: whether it listens, what has come through, and why a connection did not.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ forward: forwardArgument }),
  outputSchema: forwardViewSchema,
  handler: async (args, { client, signal }) => {
    const forward = await client.forwards.get(args.forward, { signal });
    return {
      structured: toForwardView(forward),
      vm: forward.vm.name,
      facts: [`forward ${forward.id}`, forward.state],
      text: describeForward(forward),
    };
  },
});

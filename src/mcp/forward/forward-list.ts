import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { describeForward, forwardViewSchema, toForwardView } from "./forward-view.ts";

export const forwardList = defineTool({
  name: "forward_list",
  title: "List port forwards",
  description: "Lists the ports of this computer that lead into VMs, of one VM or of all.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument.optional() }),
  outputSchema: z.strictObject({ forwards: z.array(forwardViewSchema) }),
  handler: async ({ vm }, { client, signal }) => {
    const forwards = await client.forwards.list(vm, { signal });
    return {
      structured: { forwards: forwards.map(toForwardView) },
      facts: [`${forwards.length} forward${forwards.length === 1 ? "" : "s"}`],
      text:
        forwards.length === 0
          ? "There is no forward yet; forward_create makes one."
          : forwards.map(describeForward).join("\n"),
    };
  },
});

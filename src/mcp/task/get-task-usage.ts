import { z } from "zod";
import { type UsageSums, usageBySchema } from "../../contract/usage.ts";
import { formatUsd } from "../../contract/usd.ts";
import { defineTool } from "../tool.ts";

const sums = {
  tasks: z.number(),
  cost_usd: z.number().describe("Of those whose cost is known."),
  tasks_without_cost: z.number().describe("Tasks that had tokens and no known price; in no sum of costs."),
  input_tokens: z.number(),
  output_tokens: z.number(),
  cached_tokens: z.number(),
  vm_seconds: z.number(),
  memory_mib_seconds: z.number(),
};

export const getTaskUsage = defineTool({
  name: "get_task_usage",
  title: "Look at what tasks took",
  description:
    "Sums tokens, cost and time of VMs of tasks that have ended, by agent, user, model, day, task or the values of a label; deleted tasks are in it, too.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    by: usageBySchema.default("agent").describe("task, user, agent, model, day (UTC), or label:KEY."),
    since: z.string().max(40).optional().describe("Only those that ended from then on: ISO 8601."),
    until: z.string().max(40).optional().describe("Only those that ended before then."),
  }),
  outputSchema: z.strictObject({
    by: z.string(),
    groups: z
      .array(z.strictObject({ key: z.string().optional().describe("Absent: those that have none."), ...sums }))
      .describe("The dearest first; days in their order."),
    total: z.strictObject(sums),
  }),
  handler: async ({ by, since, until }, { client, signal }) => {
    const range = { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) };
    const usage = await client.tasks.usage({ by, ...range }, { signal });
    const groups = usage.groups.map(({ key, ...rest }) => ({ ...(key === undefined ? {} : { key }), ...view(rest) }));
    const total = view(usage.total);
    return {
      structured: { by: usage.by, groups, total },
      facts: [`${total.tasks} tasks`, formatUsd(total.cost_usd)],
      text:
        total.tasks === 0
          ? "No task has ended in that time."
          : groups.map(({ key = "none", ...of }) => `${key}: ${describe(of)}`).join("\n"),
    };
  },
});

function view({ tasks, tokens, costUsd, withoutCost, vmSeconds, memoryMibSeconds }: UsageSums) {
  return {
    tasks,
    cost_usd: costUsd,
    tasks_without_cost: withoutCost,
    input_tokens: tokens.input,
    output_tokens: tokens.output,
    cached_tokens: tokens.cacheRead + tokens.cacheWrite,
    vm_seconds: vmSeconds,
    memory_mib_seconds: memoryMibSeconds,
  };
}

function describe({
  tasks,
  cost_usd,
  tasks_without_cost,
  input_tokens,
  output_tokens,
  vm_seconds,
}: ReturnType<typeof view>) {
  const unknown = tasks_without_cost === 0 ? "" : ` (${tasks_without_cost} of unknown cost)`;
  return `${tasks} tasks, ${formatUsd(cost_usd)}${unknown}, ${input_tokens} tokens in, ${output_tokens} out, ${vm_seconds} s of VMs`;
}

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { factsOf, taskArgument, taskViewSchema, toTaskView } from "./task-view.ts";

export const retryTask = defineTool({
  name: "retry_task",
  title: "Run a task again",
  description: "Queues a task like one that has ended, in a fresh VM, and returns its id at once.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  inputSchema: z.strictObject({ task_id: taskArgument }),
  outputSchema: taskViewSchema,
  handler: async (args, { client, signal }) => {
    const task = await client.tasks.retry(args.task_id, { signal });
    return { structured: toTaskView(task), facts: factsOf(task) };
  },
});

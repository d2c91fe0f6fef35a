import { z } from "zod";
import { defineTool } from "../tool.ts";
import { factsOf, taskArgument, taskViewSchema, toTaskView } from "./task-view.ts";

export const cancelTask = defineTool({
  name: "cancel_task",
  title: "Cancel a task",
  description: "Ends a task, whatever it is at; its files so far are kept. One that has ended stays as it is.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ task_id: taskArgument }),
  outputSchema: taskViewSchema,
  handler: async (args, { client, signal }) => {
    const task = await client.tasks.cancel(args.task_id, { signal });
    return { structured: toTaskView(task), facts: factsOf(task) };
  },
});

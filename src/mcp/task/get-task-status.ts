import { z } from "zod";
import { defineTool } from "../tool.ts";
import { factsOf, taskArgument, taskViewSchema, textOf, toTaskView } from "./task-view.ts";

export const getTaskStatus = defineTool({
  name: "get_task_status",
  title: "Look at a task",
  description:
    "Tells how a task stands: its status, place in the queue, the end of its output, its files, tokens and cost.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    task_id: taskArgument,
    wait_seconds: z.int().min(0).max(600).default(0).describe("Wait so long for its end at most."),
  }),
  outputSchema: taskViewSchema,
  handler: async (args, { client, signal }) => {
    const task =
      args.wait_seconds === 0
        ? await client.tasks.get(args.task_id, { signal })
        : await client.tasks.wait(args.task_id, args.wait_seconds * 1000, { signal });
    return { structured: toTaskView(task), facts: factsOf(task), text: textOf(task) };
  },
});

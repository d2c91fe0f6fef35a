import { z } from "zod";
import { defineTool } from "../tool.ts";
import { taskArgument } from "./task-view.ts";

export const deleteTask = defineTool({
  name: "delete_task",
  title: "Forget a task",
  description:
    "Deletes a task that has ended, with its events and files; there is no way back. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ task_id: taskArgument }),
  outputSchema: z.strictObject({ task_id: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const task = await client.tasks.get(args.task_id, { signal });
    return {
      steps: [
        `delete: remove the task ${task.id} (${task.state}) with its events and ${task.files?.length ?? 0} files`,
      ],
      state: { id: task.id, state: task.state, files: task.files },
    };
  },
  handler: async (args, { client, signal }) => {
    const { id } = await client.tasks.delete(args.task_id, { signal });
    return { structured: { task_id: id, deleted: true }, facts: [`task ${id}`, "deleted"] };
  },
});

import { z } from "zod";
import { TASK_STATES } from "../../contract/task.ts";
import { defineTool } from "../tool.ts";
import { factsOf, taskViewSchema, toTaskView } from "./task-view.ts";

export const listTasks = defineTool({
  name: "list_tasks",
  title: "List tasks",
  description: "Lists tasks, the newest first, without their outputs: get_task_status has these.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    status: z.array(z.enum(TASK_STATES)).optional().describe("Only of these statuses."),
    agent: z.string().max(32).optional().describe("Only of this agent."),
    label: z.string().max(320).optional().describe("Only with this label: KEY or KEY=VALUE."),
    limit: z.int().min(1).max(200).default(50).describe("Tasks at most."),
  }),
  outputSchema: z.strictObject({ tasks: z.array(taskViewSchema) }),
  handler: async ({ status, agent, label, limit }, { client, signal }) => {
    const tasks = await client.tasks.list(
      {
        limit,
        ...(status === undefined ? {} : { state: status }),
        ...(agent === undefined ? {} : { agent }),
        ...(label === undefined ? {} : { label: [label] }),
      },
      { signal },
    );
    return {
      structured: { tasks: tasks.map((task) => toTaskView({ ...task, outputTail: undefined, answer: undefined })) },
      facts: [`${tasks.length} task${tasks.length === 1 ? "" : "s"}`],
      text:
        tasks.length === 0
          ? "There is no task yet; run_task begins one."
          : tasks.map((task) => factsOf(task).join(" · ")).join("\n"),
    };
  },
});

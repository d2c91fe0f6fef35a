import { z } from "zod";
import { defineTool } from "../tool.ts";
import { taskArgument } from "./task-view.ts";

export const listTaskFiles = defineTool({
  name: "list_task_files",
  title: "List a task's files",
  description: "Lists what a task has left in its output directory, once it has ended; get_task_file reads one.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ task_id: taskArgument }),
  outputSchema: z.strictObject({
    files: z.array(
      z.strictObject({ path: z.string(), media_type: z.string(), size_bytes: z.number(), digest: z.string() }),
    ),
  }),
  handler: async (args, { client, signal }) => {
    const files = await client.tasks.files(args.task_id, { signal });
    return {
      structured: {
        files: files.map(({ path, mediaType, sizeBytes, digest }) => ({
          ...{ path, digest },
          media_type: mediaType,
          size_bytes: sizeBytes,
        })),
      },
      facts: [`task ${args.task_id}`, `${files.length} files`],
      text: files.map(({ path, mediaType, sizeBytes }) => `${path}: ${mediaType}, ${sizeBytes} bytes`).join("\n"),
    };
  },
});

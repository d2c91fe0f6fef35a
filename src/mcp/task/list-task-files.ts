import { z } from "zod";
import { defineTool } from "../tool.ts";
import { taskArgument } from "./task-view.ts";

/** Files of one answer; a guest may leave thousands. */
const PAGE = 200;

export const listTaskFiles = defineTool({
  name: "list_task_files",
  title: "List a task's files",
  description:
    "Lists what a task has left in its output directory, once it has ended, a page at a time; get_task_file reads one. When the answer has next_offset, call again with that as offset.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    task_id: taskArgument,
    offset: z.int().min(0).default(0).describe("Files to pass over: next_offset of the last answer."),
  }),
  outputSchema: z.strictObject({
    total: z.number(),
    next_offset: z.number().optional().describe("Where the rest begins, when there is more."),
    files: z.array(
      z.strictObject({ path: z.string(), media_type: z.string(), size_bytes: z.number(), digest: z.string() }),
    ),
  }),
  handler: async (args, { client, signal }) => {
    const all = await client.tasks.files(args.task_id, { signal });
    const end = args.offset + PAGE;
    const files = all.slice(args.offset, end);
    return {
      structured: {
        total: all.length,
        ...(end < all.length ? { next_offset: end } : {}),
        files: files.map(({ path, mediaType, sizeBytes, digest }) => ({
          ...{ path, digest },
          media_type: mediaType,
          size_bytes: sizeBytes,
        })),
      },
      facts: [`task ${args.task_id}`, `${all.length} files`, ...(end < all.length ? [`next_offset ${end}`] : [])],
      text: files.map(({ path, mediaType, sizeBytes }) => `${path}: ${mediaType}, ${sizeBytes} bytes`).join("\n"),
    };
  },
});

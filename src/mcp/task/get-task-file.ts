import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { pageArguments, pageFields, readPage } from "../paged-content.ts";
import { defineTool } from "../tool.ts";
import { taskArgument } from "./task-view.ts";

export const getTaskFile = defineTool({
  name: "get_task_file",
  title: "Read a task's file",
  description:
    "Reads a file of a task's output directory, a page at a time: text as text, PNG, JPEG, GIF and WebP as an image, all else as base64. When the answer has next_offset, call again with that as offset.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  answersImages: true,
  inputSchema: z.strictObject({
    task_id: taskArgument,
    path: z.string().min(1).max(1_000).describe("As list_task_files has it."),
    ...pageArguments,
  }),
  outputSchema: z.strictObject({
    path: z.string(),
    media_type: z.string(),
    size_bytes: z.number(),
    ...pageFields,
  }),
  handler: async (args, { client, signal }) => {
    const file = (await client.tasks.files(args.task_id, { signal })).find(({ path }) => path === args.path);
    if (file === undefined)
      throw new FirebreakError("TASK_FILE_NOT_FOUND", `the task ${args.task_id} has no file '${args.path}'`);
    const read = (range: { offset: number; length: number }) =>
      client.tasks.readFile(args.task_id, file.path, range, { signal });
    const { page, facts, ...shown } = await readPage({ sizeBytes: file.sizeBytes, read }, args);
    return {
      ...shown,
      structured: { path: file.path, media_type: file.mediaType, size_bytes: file.sizeBytes, ...page },
      facts: [file.path, `${file.sizeBytes} bytes`, file.mediaType, ...facts],
    };
  },
});

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { pathArgument, vmArgument } from "../vm-argument.ts";
import { resolveVm } from "./resolve-vm.ts";

export const fileDelete = defineTool({
  name: "file_delete",
  title: "Delete a file in a VM",
  description:
    "Deletes a file, a link or an empty directory inside a VM; with recursive, a directory with all it holds. It is an error when nothing is there.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument,
    path: pathArgument,
    recursive: z.boolean().default(false).describe("Delete a directory with all it holds."),
  }),
  outputSchema: z.strictObject({ vm: z.string(), path: z.string(), deleted: z.boolean() }),
  handler: async (args, context) => {
    const { client, signal } = context;
    const vm = await resolveVm(args.vm, context);
    await client.files.delete(vm, args.path, args.recursive, { signal });
    return { structured: { vm, path: args.path, deleted: true }, vm, facts: ["deleted"], text: args.path };
  },
});

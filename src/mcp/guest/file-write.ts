import { Readable } from "node:stream";
import { z } from "zod";
import { defineTool } from "../tool.ts";
import { pathArgument, vmArgument } from "../vm-argument.ts";
import { decodeBase64 } from "./bytes.ts";
import { resolveVm } from "./resolve-vm.ts";

const inputSchema = z.strictObject({
  vm: vmArgument,
  path: pathArgument,
  content: z.string().describe("The whole new content of the file."),
  encoding: z.enum(["text", "base64"]).default("text").describe("How content is to be read; text is written as UTF-8."),
  mode: z
    .string()
    .regex(/^[0-7]{3,4}$/, "an octal mode such as 0644")
    .optional()
    .describe("Octal permissions such as 0755 (default: those of the file that is there, else 0644)."),
  create_parents: z.boolean().default(true).describe("Create missing directories on the way."),
});

export const fileWrite = defineTool({
  name: "file_write",
  title: "Write a file in a VM",
  description:
    "Writes a file inside a VM, replacing what is there as a whole: readers see the old content or the new, never half of it. Nothing is written on this machine.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema,
  outputSchema: z.strictObject({ vm: z.string(), path: z.string(), size_bytes: z.int(), mode: z.string() }),
  handler: async (args, context) => {
    const { client, signal } = context;
    const bytes =
      args.encoding === "base64" ? decodeBase64("file_write", args.content) : Buffer.from(args.content, "utf8");
    const vm = await resolveVm(args.vm, context);
    const settings = { parents: args.create_parents, ...(args.mode === undefined ? {} : { mode: args.mode }) };
    const stat = await client.files.write(vm, args.path, Readable.from(bytes.length === 0 ? [] : [bytes]), settings, {
      signal,
    });
    return {
      structured: { vm, path: args.path, size_bytes: stat.sizeBytes, mode: stat.mode },
      vm,
      facts: [`${stat.sizeBytes} bytes written`],
      text: `${args.path} (mode ${stat.mode})`,
    };
  },
});

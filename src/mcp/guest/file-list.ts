import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { DirectoryEntry } from "../../guest/protocol.ts";
import { defineTool } from "../tool.ts";
import { pathArgument, vmArgument } from "../vm-argument.ts";
import { resolveVm } from "./resolve-vm.ts";

const DEFAULT_LIMIT = 200;
const MAX_LIMIT = 1000;

const entrySchema = z.strictObject({
  name: z.string(),
  name_base64: z.string().optional().describe("The name's bytes, when they are not UTF-8."),
  type: z.enum(["file", "directory", "symlink", "other"]),
  size_bytes: z.int(),
  mode: z.string(),
  uid: z.int(),
  gid: z.int(),
  modified_at: z.string(),
  target: z.string().optional().describe("What a symlink points to."),
});
type Entry = z.infer<typeof entrySchema>;

export const fileList = defineTool({
  name: "file_list",
  title: "List a directory in a VM",
  description:
    "Lists a directory inside a VM, sorted by name, a page at a time: when the answer has next_cursor, pass it as cursor.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument,
    path: pathArgument,
    limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT).describe("Most entries to return."),
    cursor: z.string().max(8192).optional().describe("next_cursor of the page before."),
  }),
  outputSchema: z.strictObject({
    vm: z.string(),
    path: z.string(),
    entries: z.array(entrySchema),
    next_cursor: z.string().optional(),
  }),
  handler: async (args, context) => {
    const { client, signal } = context;
    const after = args.cursor === undefined ? undefined : decodeCursor(args.cursor);
    const vm = await resolveVm(args.vm, context);
    const page = { limit: args.limit, ...(after === undefined ? {} : { after }) };
    const { entries, more } = await client.files.list(vm, args.path, page, { signal });
    const last = entries.at(-1);
    const cursor = more && last !== undefined ? { next_cursor: encodeCursor(last.name) } : {};
    const lines = entries.map(describeEntry);
    if (more) lines.push(`[... there is more; next_cursor ${cursor.next_cursor} ...]`);
    return {
      structured: { vm, path: args.path, entries: entries.map(toEntry), ...cursor },
      vm,
      facts: [`${entries.length}${more ? "+" : ""} entr${entries.length === 1 ? "y" : "ies"}`],
      text: lines.join("\n"),
    };
  },
});

function toEntry(entry: DirectoryEntry): Entry {
  return {
    name: entry.name,
    ...(entry.nameBase64 == null ? {} : { name_base64: entry.nameBase64 }),
    type: entry.type,
    size_bytes: entry.sizeBytes,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    modified_at: toTime(entry.mtimeMs),
    ...(entry.target == null ? {} : { target: entry.target }),
  };
}

/** Guests may claim any time; JavaScript's end at 8.64e15 ms. */
function toTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

function describeEntry(entry: DirectoryEntry): string {
  // One entry, one line, whatever its name holds.
  const plain = (text: string) => (/[\p{Cc}\p{Cf}]/u.test(text) ? JSON.stringify(text) : text);
  const mark = entry.type === "directory" ? "/" : entry.target == null ? "" : ` -> ${plain(entry.target)}`;
  return `${entry.mode} ${String(entry.sizeBytes).padStart(10)} ${plain(entry.name)}${mark}`;
}

function encodeCursor(name: string): string {
  return Buffer.from(JSON.stringify({ after: name })).toString("base64url");
}

function decodeCursor(cursor: string): string {
  try {
    const { after } = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")) as { after: unknown };
    if (typeof after === "string") return after;
  } catch {
    // Refused below.
  }
  throw new FirebreakError("INVALID_ARGUMENT", "file_list: 'cursor' is not one that file_list gave", {
    hint: "Pass next_cursor of the page before, or leave cursor out for the first page.",
  });
}

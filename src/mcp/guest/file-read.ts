import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { defineTool } from "../tool.ts";
import { pathArgument, vmArgument } from "../vm-argument.ts";
import type { VmClient } from "../vm-client.ts";
import { countLeadingPart, countTrailingPart, decodeText, detectImage, type EncodedBytes, toBase64 } from "./bytes.ts";
import { readRange } from "./read-range.ts";
import { resolveVm } from "./resolve-vm.ts";

const DEFAULT_LENGTH = 64 * 1024;
const MAX_LENGTH = 1024 * 1024;
/** Larger images are refused by models; they come as base64 pages. */
const MAX_IMAGE_BYTES = 3.75 * 1024 * 1024;

const inputSchema = z.strictObject({
  vm: vmArgument,
  path: pathArgument,
  offset: z.int().min(0).default(0).describe("First byte to read."),
  length: z.int().min(4).max(MAX_LENGTH).default(DEFAULT_LENGTH).describe("Most bytes to read."),
  encoding: z
    .enum(["auto", "text", "base64"])
    .default("auto")
    .describe("auto: UTF-8 text as text, PNG, JPEG, GIF and WebP as an image, all else as base64."),
});

export const fileRead = defineTool({
  name: "file_read",
  title: "Read a file in a VM",
  description: [
    "Reads a file inside a VM, byte for byte, a page at a time: when the answer has next_offset, call again with that as offset.",
    "A page of text never cuts a character apart, so it may begin or end up to 3 bytes beside what was asked; offset and length in the answer are what it holds.",
  ].join(" "),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  answersImages: true,
  inputSchema,
  outputSchema: z.strictObject({
    vm: z.string(),
    path: z.string(),
    encoding: z.enum(["text", "base64", "image"]).describe("image: the bytes are in the image content instead."),
    content: z.string().optional(),
    mime_type: z.string().optional(),
    offset: z.int(),
    length: z.int().describe("Bytes in this answer."),
    size_bytes: z.int().describe("Size of the whole file."),
    next_offset: z.int().optional().describe("Where the next page begins; absent at the end of the file."),
    mode: z.string(),
  }),
  handler: async (args, context) => {
    const { client, signal } = context;
    const vm = await resolveVm(args.vm, context);
    const range = await readRange(client, vm, args.path, { offset: args.offset, length: args.length }, signal);
    const { stat } = range;
    const facts = [`${stat.sizeBytes} bytes`];
    const base = { vm, path: args.path, size_bytes: stat.sizeBytes, mode: stat.mode };
    const mimeType = args.offset === 0 && args.encoding === "auto" ? detectImage(range.bytes) : undefined;
    if (mimeType !== undefined && stat.sizeBytes <= MAX_IMAGE_BYTES) {
      const bytes = await readRest(client, vm, args.path, range.bytes, stat.sizeBytes, signal);
      return {
        structured: { ...base, encoding: "image" as const, mime_type: mimeType, offset: 0, length: bytes.length },
        vm,
        facts: [...facts, mimeType],
        text: args.path,
        image: { mimeType, base64: toBase64(bytes) },
      };
    }
    const page = encodePage(range.bytes, args);
    const end = page.offset + page.length;
    const hasMore = end < args.offset + range.bytes.length || range.hasMore;
    const note = hasMore ? `\n[... bytes ${page.offset} to ${end} of ${stat.sizeBytes}; next_offset ${end} ...]` : "";
    if (page.encoding === "base64") facts.push("base64");
    return {
      structured: {
        ...base,
        encoding: page.encoding,
        content: page.content,
        ...(mimeType === undefined ? {} : { mime_type: mimeType }),
        offset: page.offset,
        length: page.length,
        ...(hasMore ? { next_offset: end } : {}),
      },
      vm,
      facts,
      text: `${page.content}${note}`,
    };
  },
});

interface Page extends EncodedBytes {
  offset: number;
  length: number;
}

function encodePage(bytes: Buffer, args: { offset: number; encoding: "auto" | "text" | "base64"; path: string }): Page {
  if (args.encoding !== "base64") {
    const skipped = args.offset > 0 ? countLeadingPart(bytes) : 0;
    // The file's own last bytes are kept: when they are half a character, it is no text.
    const whole = decodeText(bytes.subarray(skipped));
    const shown =
      whole === undefined ? bytes.subarray(skipped, bytes.length - countTrailingPart(bytes)) : bytes.subarray(skipped);
    const text = whole ?? decodeText(shown);
    if (text !== undefined && (shown.length > 0 || bytes.length === 0)) {
      return { content: text, encoding: "text", offset: args.offset + skipped, length: shown.length };
    }
    if (args.encoding === "text") {
      throw new FirebreakError("INVALID_ARGUMENT", `${args.path} is not UTF-8 text`, {
        hint: "Read it with encoding 'base64'.",
      });
    }
  }
  return { content: toBase64(bytes), encoding: "base64", offset: args.offset, length: bytes.length };
}

async function readRest(
  client: VmClient,
  vm: string,
  path: string,
  start: Buffer,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  if (start.length >= sizeBytes) return start;
  const range = { offset: start.length, length: sizeBytes - start.length };
  return Buffer.concat([start, (await readRange(client, vm, path, range, signal)).bytes]);
}

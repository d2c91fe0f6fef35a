import type { Readable } from "node:stream";
import { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { countLeadingPart, countTrailingPart, decodeText, detectImage, toBase64 } from "./guest/bytes.ts";

const DEFAULT_LENGTH = 64 * 1024;
const MAX_LENGTH = 1024 * 1024;
/** Larger images are refused by models; they come as base64 pages. */
const MAX_IMAGE_BYTES = 3.75 * 1024 * 1024;

/** What has been kept, and can be read in parts. */
export interface Kept {
  sizeBytes: number;
  read: (range: { offset: number; length: number }) => Promise<Readable>;
}

/** Arguments of tools that read what has been kept, a page at a time. */
export const pageArguments = {
  offset: z.int().min(0).default(0).describe("First byte to read."),
  length: z.int().min(4).max(MAX_LENGTH).default(DEFAULT_LENGTH).describe("Most bytes to read."),
};

/** What such a tool answers besides what it is of. */
export const pageFields = {
  encoding: z.enum(["text", "base64", "image"]).describe("image: the bytes are in the image content instead."),
  content: z.string().optional(),
  offset: z.int(),
  length: z.int().describe("Bytes in this answer."),
  next_offset: z.int().optional().describe("Where the next page begins; absent at the end."),
};

interface Page {
  encoding: "text" | "base64" | "image";
  content?: string;
  offset: number;
  length: number;
  next_offset?: number;
}

/** A page: text as text, an image whole as an image, all else as base64. */
export async function readPage(
  kept: Kept,
  { offset, length }: { offset: number; length: number },
): Promise<{ page: Page; facts: string[]; text?: string; image?: { mimeType: string; base64: string } }> {
  const bytes = await readPart(kept, offset, length);
  const mimeType = offset === 0 ? detectImage(bytes) : undefined;
  if (mimeType !== undefined && kept.sizeBytes <= MAX_IMAGE_BYTES) {
    const rest = await readPart(kept, bytes.length, kept.sizeBytes - bytes.length);
    const whole = Buffer.concat([bytes, rest]);
    return {
      page: { encoding: "image", offset: 0, length: whole.length },
      facts: [],
      image: { mimeType, base64: toBase64(whole) },
    };
  }
  const page = encodePage(bytes, offset);
  const end = page.offset + page.length;
  const hasMore = end < kept.sizeBytes;
  const note = hasMore ? `\n[... bytes ${page.offset} to ${end} of ${kept.sizeBytes}; next_offset ${end} ...]` : "";
  return {
    page: { ...page, ...(hasMore ? { next_offset: end } : {}) },
    facts: page.encoding === "base64" ? ["base64"] : [],
    text: `${page.content}${note}`,
  };
}

/** Text where the bytes are text; a page never cuts a character apart. */
function encodePage(bytes: Buffer, offset: number) {
  const skipped = offset > 0 ? countLeadingPart(bytes) : 0;
  const whole = bytes.subarray(skipped);
  const shown = decodeText(whole) === undefined ? whole.subarray(0, whole.length - countTrailingPart(whole)) : whole;
  const text = decodeText(shown);
  if (text !== undefined && (shown.length > 0 || bytes.length === 0))
    return { encoding: "text" as const, content: text, offset: offset + skipped, length: shown.length };
  return { encoding: "base64" as const, content: toBase64(bytes), offset, length: bytes.length };
}

async function readPart(kept: Kept, offset: number, length: number): Promise<Buffer> {
  if (length <= 0 || offset >= kept.sizeBytes) return Buffer.alloc(0);
  const pieces: Buffer[] = [];
  try {
    const body = await kept.read({ offset, length });
    for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece);
  } catch (error) {
    if (error instanceof FirebreakError) throw error;
    throw new FirebreakError("DAEMON_UNAVAILABLE", "reading broke off", { cause: error, hint: "Try again." });
  }
  return Buffer.concat(pieces);
}

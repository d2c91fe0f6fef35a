import { z } from "zod";
import type { Artifact } from "../../contract/artifact.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { countLeadingPart, countTrailingPart, decodeText, detectImage, toBase64 } from "../guest/bytes.ts";
import { defineTool, type ToolContext } from "../tool.ts";
import { artifactArgument, artifactViewSchema, toArtifactView } from "./artifact-view.ts";

const DEFAULT_LENGTH = 64 * 1024;
const MAX_LENGTH = 1024 * 1024;
/** Larger images are refused by models; they come as base64 pages. */
const MAX_IMAGE_BYTES = 3.75 * 1024 * 1024;

export const artifactGet = defineTool({
  name: "artifact_get",
  title: "Read an artifact",
  description:
    "Reads what has been kept of a VM, a page at a time: text as text, PNG, JPEG, GIF and WebP as an image, all else (a directory is a tar) as base64. When the answer has next_offset, call again with that as offset.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    artifact: artifactArgument,
    offset: z.int().min(0).default(0).describe("First byte to read."),
    length: z.int().min(4).max(MAX_LENGTH).default(DEFAULT_LENGTH).describe("Most bytes to read."),
  }),
  outputSchema: z.strictObject({
    ...artifactViewSchema.shape,
    encoding: z.enum(["text", "base64", "image"]).describe("image: the bytes are in the image content instead."),
    content: z.string().optional(),
    offset: z.int(),
    length: z.int().describe("Bytes in this answer."),
    next_offset: z.int().optional().describe("Where the next page begins; absent at the end."),
  }),
  handler: async (args, context) => {
    const artifact = await context.client.artifacts.get(args.artifact, { signal: context.signal });
    const view = toArtifactView(artifact);
    const facts = [`artifact ${artifact.name}`, `${artifact.sizeBytes} bytes`, artifact.mediaType];
    const bytes = await readPart(artifact, args.offset, args.length, context);
    const mimeType = args.offset === 0 ? detectImage(bytes) : undefined;
    if (mimeType !== undefined && artifact.sizeBytes <= MAX_IMAGE_BYTES) {
      const rest = await readPart(artifact, bytes.length, artifact.sizeBytes - bytes.length, context);
      const whole = Buffer.concat([bytes, rest]);
      return {
        structured: { ...view, encoding: "image" as const, offset: 0, length: whole.length },
        facts,
        image: { mimeType, base64: toBase64(whole) },
      };
    }
    const page = encodePage(bytes, args.offset);
    const end = page.offset + page.length;
    const hasMore = end < artifact.sizeBytes;
    const note = hasMore
      ? `\n[... bytes ${page.offset} to ${end} of ${artifact.sizeBytes}; next_offset ${end} ...]`
      : "";
    return {
      structured: { ...view, ...page, ...(hasMore ? { next_offset: end } : {}) },
      facts: page.encoding === "base64" ? [...facts, "base64"] : facts,
      text: `${page.content}${note}`,
    };
  },
});

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

async function readPart(artifact: Artifact, offset: number, length: number, { client, signal }: ToolContext) {
  if (length <= 0 || offset >= artifact.sizeBytes) return Buffer.alloc(0);
  const pieces: Buffer[] = [];
  try {
    const body = await client.artifacts.read(artifact.id, { offset, length }, { signal });
    for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece);
  } catch (error) {
    if (error instanceof FirebreakError) throw error;
    throw new FirebreakError("DAEMON_UNAVAILABLE", "reading the artifact broke off", {
      cause: error,
      hint: "Try again.",
    });
  }
  return Buffer.concat(pieces);
}

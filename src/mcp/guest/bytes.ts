import { FirebreakError } from "../../errors/firebreak-error.ts";

/** Bytes as a caller gets them: text where they are text, base64 otherwise. Either way nothing is lost. */
export interface EncodedBytes {
  content: string;
  encoding: "text" | "base64";
}

/** The text that the bytes are, or undefined: not UTF-8, or with a NUL, which many clients cannot take. */
export function decodeText(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function encodeBytes(bytes: Uint8Array): EncodedBytes {
  const text = decodeText(bytes);
  if (text !== undefined) return { content: text, encoding: "text" };
  return { content: toBase64(bytes), encoding: "base64" };
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** How many bytes at the start are the rest of a UTF-8 character that began before (0 to 3). */
export function countLeadingPart(bytes: Uint8Array): number {
  let count = 0;
  while (count < 3 && isContinuation(bytes[count])) count++;
  return count;
}

/** How many bytes at the end are the beginning of a UTF-8 character that goes on after (0 to 3). */
export function countTrailingPart(bytes: Uint8Array): number {
  for (let count = 1; count <= Math.min(3, bytes.length); count++) {
    const byte = bytes[bytes.length - count] as number; // count is at most the length
    if (isContinuation(byte)) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > count ? count : 0;
  }
  return 0;
}

const SIGNATURES: { mimeType: string; matches: (latin1: string) => boolean }[] = [
  { mimeType: "image/png", matches: (head) => head.startsWith("\x89PNG\r\n\x1a\n") },
  { mimeType: "image/jpeg", matches: (head) => head.startsWith("\xff\xd8\xff") },
  { mimeType: "image/gif", matches: (head) => head.startsWith("GIF87a") || head.startsWith("GIF89a") },
  { mimeType: "image/webp", matches: (head) => head.startsWith("RIFF") && head.slice(8, 12) === "WEBP" },
];

/** Bytes that detectImage looks at. */
export const SIGNATURE_BYTES = 16;

/** The type of an image that models can see, by its first bytes; the file's name counts for nothing. */
export function detectImage(head: Uint8Array): string | undefined {
  const latin1 = Buffer.from(head.subarray(0, SIGNATURE_BYTES)).toString("latin1");
  return SIGNATURES.find(({ matches }) => matches(latin1))?.mimeType;
}

/** Node skips what is not base64; a caller's slip must not become a damaged file. */
export function decodeBase64(tool: string, content: string): Buffer {
  const compact = content.replace(/\s+/g, "");
  const bytes = Buffer.from(compact, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") === compact.replace(/=+$/, "")) return bytes;
  throw new FirebreakError("INVALID_ARGUMENT", `${tool}: 'content' is not base64`, {
    hint: "Pass plain text with encoding 'text'.",
  });
}

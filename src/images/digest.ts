import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";

/** Lower-case hex digest of a file's content, read as a stream. */
export async function hashFile(file: string, algorithm: "sha256" | "sha512" = "sha256"): Promise<string> {
  return (await digestFile(file, algorithm)).toString("hex");
}

/** True when the file matches a Subresource Integrity value of the form `sha512-BASE64` (npm's `dist.integrity`). */
export async function matchesIntegrity(file: string, integrity: string): Promise<boolean> {
  const match = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity);
  if (match === null) return false;
  return (await digestFile(file, "sha512")).toString("base64") === match[1];
}

export function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function digestFile(file: string, algorithm: string): Promise<Buffer> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest();
}

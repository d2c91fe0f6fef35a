import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { invalidArchive } from "../archive/tar-format.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { decompress } from "./compression.ts";
import { ROOTFS_LIMITS } from "./flatten.ts";
import { readTar } from "./tar-reader.ts";

/** A part of a file on this host's disk. */
export interface FilePart {
  file: string;
  offset: number;
  sizeBytes: number;
}

/** An OCI or Docker archive has a file or two for each layer. */
const MAX_ARCHIVE_FILES = 20_000;
const MAX_LINKS = 5;

export function readPart(part: FilePart): AsyncIterable<Buffer> {
  const { file, offset, sizeBytes } = part;
  // An empty part cannot be asked for: the last byte's place is inclusive.
  if (sizeBytes === 0) return (async function* () {})();
  return createReadStream(file, { start: offset, end: offset + sizeBytes - 1, highWaterMark: 256 * 1024 });
}

/** A part as a whole; `maxBytes` is more than any honest one has. */
export async function readWholePart(part: FilePart, maxBytes: number): Promise<Buffer> {
  if (part.sizeBytes > maxBytes)
    throw new FirebreakError("IMAGE_INVALID", `a part of the image has ${part.sizeBytes} bytes`);
  const chunks: Buffer[] = [];
  for await (const chunk of readPart(part)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Writes a stream to a file, uncompressed if it is compressed. Throws IMAGE_TOO_LARGE; the file is the caller's to remove. Returns
 * its size.
 */
export async function spool(
  source: AsyncIterable<Buffer>,
  target: string,
  maxBytes: number = ROOTFS_LIMITS.maxBytes,
): Promise<number> {
  const handle = await open(target, "wx", 0o600);
  let bytes = 0;
  try {
    for await (const chunk of decompress(source)) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        throw new FirebreakError("IMAGE_TOO_LARGE", `the image is refused: it has more than ${maxBytes} bytes`);
      await handle.writeFile(chunk);
    }
  } finally {
    await handle.close();
  }
  return bytes;
}

/** Where an archive's files lie in it, by name. Nothing is unpacked; links lead to other names of the archive only. */
export async function indexArchive(file: string): Promise<Map<string, FilePart>> {
  const parts = new Map<string, FilePart>();
  const links = new Map<string, string>();
  let count = 0;
  const bytes = createReadStream(file, { highWaterMark: 256 * 1024 });
  for await (const { entry } of readTar(bytes as AsyncIterable<Buffer>)) {
    if (++count > MAX_ARCHIVE_FILES) throw invalidArchive(`it has more than ${MAX_ARCHIVE_FILES} members`);
    const name = normalize(entry.path);
    if (entry.type === "file") parts.set(name, { file, offset: entry.offset, sizeBytes: entry.sizeBytes });
    else if (entry.type === "link") links.set(name, normalize(entry.linkTarget));
    // As 'docker save' once did for a layer that is there twice.
    else if (entry.type === "symlink") links.set(name, normalize(`${name}/../${entry.linkTarget}`));
  }
  for (const [name, target] of links) {
    let at = target;
    for (let step = 0; step < MAX_LINKS && !parts.has(at); step++) at = links.get(at) ?? at;
    const part = parts.get(at);
    if (part !== undefined && !parts.has(name)) parts.set(name, part);
  }
  return parts;
}

/** `./blobs//x/../y` as `blobs/y`: a key to look up, never a path. */
function normalize(name: string): string {
  const names: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") names.pop();
    else if (part !== "" && part !== ".") names.push(part);
  }
  return names.join("/");
}

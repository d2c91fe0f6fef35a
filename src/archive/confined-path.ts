import { invalidArchive } from "./tar-format.ts";

/** PATH_MAX and NAME_MAX of limits.h, the former without its NUL. */
const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;
const SLASH = 0x2f;

/**
 * A path of an archive as one below its target: no empty parts and no `.`. Empty for the target itself. Throws ARCHIVE_INVALID on what is absolute,
 * has `..` or NUL, or is longer than the kernel takes.
 */
export function confinePath(raw: Buffer): Buffer {
  const shown = () => JSON.stringify(raw.subarray(0, 200).toString("utf8"));
  if (raw.length > MAX_PATH_BYTES) throw invalidArchive(`a path of ${raw.length} bytes`);
  if (raw.includes(0)) throw invalidArchive(`${shown()} holds NUL`);
  if (raw[0] === SLASH) throw invalidArchive(`${shown()} is absolute`);
  const parts = splitPath(raw).filter((part) => !(part.length === 1 && part[0] === 0x2e));
  for (const part of parts) {
    if (part.length === 2 && part[0] === 0x2e && part[1] === 0x2e)
      throw invalidArchive(`${shown()} leads out of the target`);
    if (part.length > MAX_NAME_BYTES) throw invalidArchive(`${shown()} has a name of ${part.length} bytes`);
  }
  return joinPath(parts);
}

/** Parts of a path without the empty ones. */
export function splitPath(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at <= path.length; ) {
    const next = path.indexOf(SLASH, at);
    const end = next < 0 ? path.length : next;
    if (end > at) parts.push(path.subarray(at, end));
    at = end + 1;
  }
  return parts;
}

export function joinPath(parts: readonly Buffer[]): Buffer {
  return Buffer.from(parts.map((part) => part.toString("latin1")).join("/"), "latin1");
}

/** The text that a name is, or undefined when it is not UTF-8. */
export function decodeName(name: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    return undefined;
  }
}

import { readdir } from "node:fs/promises";
import path from "node:path";

/** A file of the log, named after its first entry. */
export interface Segment {
  file: string;
  firstSeq: number;
}

const NAME = /^(\d{16})\.jsonl$/;

export function segmentPath(folder: string, firstSeq: number): string {
  return path.join(folder, `${String(firstSeq).padStart(16, "0")}.jsonl`);
}

/** In the order of the chain; of a folder that is not there, none. */
export async function listSegments(folder: string): Promise<Segment[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => ({ file: path.join(folder, name), firstSeq: Number(NAME.exec(name)?.[1]) }));
}

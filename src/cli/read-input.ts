import { readFile } from "node:fs/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** The bytes of a file of this host, or of stdin for `-`. Throws HOST_PATH_NOT_FOUND. */
export async function readInput(file: string): Promise<Buffer> {
  try {
    if (file !== "-") return await readFile(file);
    const pieces: Buffer[] = [];
    for await (const piece of process.stdin as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces);
  } catch (error) {
    throw new FirebreakError(
      "HOST_PATH_NOT_FOUND",
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

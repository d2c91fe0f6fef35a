import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";

/**
 * Files of a folder whose names end with `suffix`, by their names without it; none where there is no such folder. Throws CONFIG_INVALID for one that is no
 * text of at most `maxBytes`.
 */
export function readTextFiles(folder: string, suffix: string, maxBytes: number): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of namesIn(folder))
    if (entry.endsWith(suffix)) found.set(entry.slice(0, -suffix.length), readText(path.join(folder, entry), maxBytes));
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

function readText(file: string, maxBytes: number): string {
  const invalid = (why: string) => new FirebreakError("CONFIG_INVALID", `${file}: ${why}`, { details: { file } });
  const info = statSync(file);
  if (!info.isFile()) throw invalid("it is no file");
  if (info.size > maxBytes) throw invalid(`it has more than ${maxBytes} bytes`);
  const text = readFileSync(file, "utf8");
  if (text.includes("\0")) throw invalid("it is no text");
  return text;
}

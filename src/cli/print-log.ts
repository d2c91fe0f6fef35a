import type { Readable } from "node:stream";
import { stripLines } from "../platform/terminal-text.ts";
import { printJson } from "./output.ts";
import { parseCount } from "./parse.ts";

export interface LogFlags {
  follow?: boolean;
  tail?: string;
}

/** Prints a log that may hold anything, as it comes or its last lines: what would move our terminal's cursor is taken out. */
export async function printLog(stream: Readable, { follow, tail }: LogFlags, asJson: boolean): Promise<void> {
  stream.setEncoding("utf8");
  if (follow && !asJson && tail === undefined) {
    for await (const text of stream) process.stdout.write(stripLines(String(text)));
    return;
  }
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  const lines = stripLines(text).split("\n");
  if (lines.at(-1) === "") lines.pop();
  const kept = tail === undefined ? lines : lines.slice(-parseCount("--tail", tail) || lines.length);
  if (asJson) printJson({ lines: kept });
  else if (kept.length > 0) process.stdout.write(`${kept.join("\n")}\n`);
}

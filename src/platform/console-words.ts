import { stripControl } from "./terminal-text.ts";

/** A message with what a guest's console said last: the line that tells of a panic or of the agent's failure, or else the last ones. */
export function addConsoleWords(message: string, consoleText: string): string {
  const lines = consoleText.trim().split(/\r?\n/).slice(-200);
  const telling = lines.findLast((line) => /Kernel panic - not syncing|firebreak-agent: (?!version )/.test(line));
  const tail = (telling === undefined ? lines.slice(-4) : [telling]).map(stripControl).join(" | ").trim();
  return tail === "" ? message : `${message}; the console ended with: ${tail.slice(-600)}`;
}

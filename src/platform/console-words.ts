import { stripControl } from "./terminal-text.ts";

/** What the agent says when a boot has come as far as it: what stands before is of no later end. */
const READY = /^firebreak-agent: version /;

/**
 * A message with what a guest's console said last: the line that tells of a panic or of the agent's failure, or else the last ones. The log
 * goes on over the VM's starts, and only that of the last one that came up counts.
 */
export function addConsoleWords(message: string, consoleText: string): string {
  const all = consoleText.trim().split(/\r?\n/).slice(-200);
  const lines = all.slice(
    Math.max(
      0,
      all.findLastIndex((line) => READY.test(line)),
    ),
  );
  const telling = lines.findLast((line) => /Kernel panic - not syncing|firebreak-agent: (?!version )/.test(line));
  const tail = (telling === undefined ? lines.slice(-4) : [telling]).map(stripControl).join(" | ").trim();
  return tail === "" ? message : `${message}; the console ended with: ${tail.slice(-600)}`;
}

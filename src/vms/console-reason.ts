import { setTimeout as sleep } from "node:timers/promises";
import { readBoundedLog } from "../platform/bounded-log.ts";
import { addConsoleWords } from "../platform/console-words.ts";
import type { LiveVm } from "./live-vm.ts";

/** How long the end of a dead VM's console is waited for. */
const CONSOLE_END_MS = 500;

/** A reason with what the console said last: the line that tells of a panic, or else the last ones. */
export async function consoleReason(
  message: string,
  consoleLogPath: string,
  live: LiveVm | undefined,
): Promise<string> {
  await Promise.race([live?.consoleEnd, sleep(live === undefined ? 0 : CONSOLE_END_MS, undefined, { ref: false })]);
  return addConsoleWords(message, readBoundedLog(consoleLogPath).toString("utf8"));
}

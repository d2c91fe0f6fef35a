import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isSameProcessAlive, type ProcessIdentity, signalProcess } from "../platform/process.ts";
import { stripControl } from "../platform/terminal-text.ts";

/** Of the VMM's own output, what an error tells of. */
const LOG_TAIL_BYTES = 4096;

/** What QEMU says of each machine with a card that is plugged into nothing, as most have: it explains no end. */
const EXPECTED_WORDS = /: warning: nic \S+ has no peer$/;

/** The last lines of the VMM's log, as one line. */
export async function readLogTail(logPath: string): Promise<string> {
  const text = await readTail(logPath, LOG_TAIL_BYTES).catch(() => "");
  const lines = text.trim().split("\n");
  return (
    lines
      .filter((line) => !EXPECTED_WORDS.test(line))
      .slice(-5)
      .map(stripControl)
      .join(" | ") || "it printed nothing"
  );
}

/** A VMM may have written any amount: only the end is read. */
async function readTail(path: string, bytes: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, Math.max(0, size - bytes));
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Ends a process for certain and waits until it is gone. */
export async function killProcess(identity: ProcessIdentity): Promise<void> {
  if (!(await signalProcess(identity, "SIGKILL"))) return;
  while (await isSameProcessAlive(identity)) await sleep(2);
}

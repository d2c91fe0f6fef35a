import type { Task } from "../../../../src/contract/task.ts";
import { formatDuration } from "../../format.ts";

/** What a task is called: its name, or the beginning of what it was told to do. */
export function nameOf({ name, prompt, argv, id }: Task): string {
  const told = argv !== undefined && argv[0] === "sh" && argv[1] === "-c" ? argv[2] : argv?.join(" ");
  return name ?? (prompt ?? told ?? id).trim().split("\n", 1)[0]?.slice(0, 200) ?? id;
}

export const hasEnded = ({ state }: Task): boolean => ["completed", "failed", "cancelled"].includes(state);

/** How long it has worked, or works already. */
export function durationOf({ startedAt, endedAt }: Task, nowMs = Date.now()): string | undefined {
  if (startedAt === undefined) return undefined;
  return formatDuration((endedAt === undefined ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt));
}

/** All its tokens, those from caches included. */
export function tokensOf({ usage }: Task): number {
  return (usage?.tokens ?? []).reduce(
    (sum, { input, output, cacheRead, cacheWrite }) => sum + input + output + cacheRead + cacheWrite,
    0,
  );
}

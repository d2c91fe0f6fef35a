import type { Server } from "@modelcontextprotocol/server";

const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"] as const;
export type LogLevel = (typeof LEVELS)[number];

/** What a client hears of that has not said what it wants to. */
export const DEFAULT_LEVEL: LogLevel = "info";

export const isLogLevel = (value: unknown): value is LogLevel => LEVELS.includes(value as LogLevel);

/** Whether somebody who wants one level wants more than who wants the other. */
export const isMoreVerbose = (level: LogLevel, other: LogLevel) => LEVELS.indexOf(level) < LEVELS.indexOf(other);

/** Takes over what a server does with `logging/setLevel`; returns what tells the level that its client wants. */
export function followLogLevel(server: Server): () => LogLevel | undefined {
  let wanted: LogLevel | undefined;
  server.setRequestHandler("logging/setLevel", ({ params }) => {
    wanted = params.level;
    return {};
  });
  return () => wanted;
}

import type { SqliteSettings } from "./settings.ts";

const HEAD = "audit.head";

/** How far the audit log has come, outside of its own files: that its end has not been taken away. */
export function auditHeadOf(settings: SqliteSettings) {
  return {
    get: () => settings.get(HEAD) as { seq: number; hash: string } | undefined,
    set: (head: { seq: number; hash: string }) => settings.set(HEAD, head),
  };
}

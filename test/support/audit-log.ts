import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type ChainPoint, toKey } from "../../src/audit/entry.ts";
import { AuditLog, type AuditLogOptions, type HeadStore } from "../../src/audit/log.ts";
import { verify } from "../../src/audit/verify.ts";
import type { AuditCall } from "../../src/contract/audit.ts";

export const AUDIT_KEY = toKey(Buffer.alloc(32, 7));

export function call(tool: string, facts: Partial<AuditCall> = {}): AuditCall {
  const client = { principal: "local", name: "claude-code", version: "2.1" };
  return {
    client,
    server: "files",
    tool,
    requestBytes: 12,
    responseBytes: 340,
    durationMs: 5.5,
    verdict: "ok",
    ...facts,
  };
}

/** A head in memory, as SQLite keeps it. */
export function memoryHead(): HeadStore & { point: ChainPoint | undefined } {
  const head = {
    point: undefined as ChainPoint | undefined,
    get: () => head.point,
    set: (point: ChainPoint) => {
      head.point = point;
    },
  };
  return head;
}

export interface AuditSetting {
  folder: string;
  head: ReturnType<typeof memoryHead>;
  open: (options?: Partial<AuditLogOptions>) => Promise<AuditLog>;
  verify: () => ReturnType<typeof verify>;
}

/** A folder for a log, gone afterwards. */
export async function withAudit(work: (setting: AuditSetting) => Promise<void>): Promise<void> {
  const home = await mkdtemp(path.join(os.tmpdir(), "firebreak-audit-"));
  const folder = path.join(home, "audit");
  const head = memoryHead();
  try {
    await work({
      folder,
      head,
      open: (options = {}) => AuditLog.open({ folder, key: AUDIT_KEY, head, ...options }),
      verify: () => verify(folder, { key: AUDIT_KEY, head: head.point }),
    });
  } finally {
    await rm(home, { recursive: true });
  }
}

/** A log of so many calls, closed. */
export async function writeLog(
  setting: AuditSetting,
  count: number,
  options: Partial<AuditLogOptions> = {},
): Promise<void> {
  const log = await setting.open(options);
  for (let index = 0; index < count; index++) log.append(call(`tool_${index}`));
  await log.close();
}

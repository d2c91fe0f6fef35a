import type { CallToolResult } from "@modelcontextprotocol/server";
import type { AuditReport, AuditVerdict } from "../contract/audit.ts";
import { ERROR_CODES, type ErrorClass, type ErrorCode } from "../errors/catalogue.ts";
import { FAILURE_KEY } from "./result.ts";

/** Larger ones are not worth sending twice: the log keeps 16 KiB. */
const MAX_ARGUMENTS = 64 * 1024;
const MAX_WORD = 256;

export interface ReportedCall {
  tool: string;
  args: unknown;
  result: CallToolResult;
  durationMs: number;
  client: { name?: string; version?: string } | undefined;
}

/** What the audit log is told of a call. */
export function toReport({ tool, args, result, durationMs, client }: ReportedCall): AuditReport {
  const text = JSON.stringify(args ?? {});
  const code = codeOf(result);
  const vm = (args as { vm?: unknown } | undefined)?.vm;
  return {
    client: {
      ...(typeof client?.name === "string" ? { name: client.name.slice(0, MAX_WORD) } : {}),
      ...(typeof client?.version === "string" ? { version: client.version.slice(0, MAX_WORD) } : {}),
    },
    tool,
    ...(typeof vm === "string" ? { vm: vm.slice(0, MAX_WORD) } : {}),
    requestBytes: Buffer.byteLength(text),
    responseBytes: Buffer.byteLength(JSON.stringify(result)),
    durationMs: Math.round(durationMs * 10) / 10,
    verdict: verdictOf(result, code),
    ...(code === undefined ? {} : { code }),
    ...(text.length <= MAX_ARGUMENTS ? { arguments: args ?? {} } : { arguments: { tooLong: text.length } }),
  };
}

const VERDICTS: Partial<Record<ErrorClass, AuditVerdict>> = {
  canceled: "canceled",
  permission_denied: "denied",
  unauthenticated: "denied",
  unavailable: "failed",
  internal: "failed",
};
const DENIALS: ReadonlySet<ErrorCode> = new Set([
  "CONFIRMATION_REQUIRED",
  "CONFIRMATION_STALE",
  "CONFIRMATION_MISMATCH",
]);

function verdictOf(result: CallToolResult, code: ErrorCode | undefined): AuditVerdict {
  if (result.isError !== true) return "ok";
  if (code === undefined) return "tool_error";
  return DENIALS.has(code) ? "denied" : (VERDICTS[ERROR_CODES[code].class] ?? "tool_error");
}

function codeOf(result: CallToolResult): ErrorCode | undefined {
  const code = (result._meta?.[FAILURE_KEY] as { code?: unknown } | undefined)?.code;
  return typeof code === "string" && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : undefined;
}

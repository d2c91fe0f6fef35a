import type { Command } from "commander";
import { AUDIT_VERDICTS, type AuditFilter } from "../../../contract/audit.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { parseSince } from "../../parse.ts";

export interface FilterOptions {
  since?: string;
  server?: string;
  client?: string;
  verdict?: string;
}

export function addFilterOptions(command: Command): Command {
  return command
    .option("--since <time>", "from then on: a time such as 2026-01-31T12:00, or so long ago, such as 2h")
    .option("--server <name>", "calls of this MCP server; firebreak's own tools are 'firebreak'")
    .option("--client <name>", "calls of this principal (the name of an API key, or local), or of clients of this name")
    .option("--verdict <verdict>", `calls that ended so: ${AUDIT_VERDICTS.join(", ")}`);
}

/** Throws INVALID_ARGUMENT. */
export function readFilter({ since, server, client, verdict }: FilterOptions): AuditFilter {
  const known = AUDIT_VERDICTS.find((one) => one === verdict);
  if (verdict !== undefined && known === undefined)
    throw new FirebreakError("INVALID_ARGUMENT", `--verdict: '${verdict}' is not one of ${AUDIT_VERDICTS.join(", ")}`);
  return { since: since === undefined ? undefined : parseSince(since).toISOString(), server, client, verdict: known };
}

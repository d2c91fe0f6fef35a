import type { Command } from "commander";
import { addAuditExport } from "./export.ts";
import { addAuditList } from "./list.ts";
import { addAuditVerify } from "./verify.ts";

export function addAuditCommands(program: Command): void {
  const audit = program
    .command("audit")
    .description("which calls of MCP servers were made, by whom, and how they ended");
  addAuditList(audit);
  addAuditVerify(audit);
  addAuditExport(audit);
}

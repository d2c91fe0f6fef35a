import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addAuditVerify(parent: Command): void {
  const command = parent
    .command("verify")
    .description("Go over the audit log: is each entry as it was written, and none missing? Ends with 1 when not.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const result = await client.audit.verify();
      if (!result.ok) process.exitCode = 1;
      if (asJson) return printJson(result);
      if (result.firstBad === undefined) {
        const { entries, removed } = result;
        const before =
          removed === undefined ? "" : `; ${removed} before them were removed, as [audit] keep or max_size says`;
        process.stdout.write(`${entries} entries, all as they were written${before}\n`);
        return;
      }
      const { file, line, why } = result.firstBad;
      process.stdout.write(`${result.entries} entries are as they were written; then ${file}:${line}: ${why}\n`);
    });
}

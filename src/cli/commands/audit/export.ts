import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { AUDIT_FORMATS } from "../../../contract/audit.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { addFilterOptions, type FilterOptions, readFilter } from "./filter-options.ts";

interface ExportOptions extends FilterOptions {
  format?: string;
}

export function addAuditExport(parent: Command): void {
  const command = addFilterOptions(parent.command("export"))
    .description("Write recorded calls to standard output, all that match, the oldest first.")
    .option("--format <format>", `${AUDIT_FORMATS.join(" or ")} (default: jsonl)`)
    .action(async ({ format = "jsonl", ...options }: ExportOptions) => {
      const known = AUDIT_FORMATS.find((one) => one === format);
      if (known === undefined)
        throw new FirebreakError("INVALID_ARGUMENT", `--format: '${format}' is not ${AUDIT_FORMATS.join(" or ")}`);
      const filter = readFilter(options);
      const { client } = await openContext(command);
      await pipeline(await client.audit.export(filter, known), process.stdout, { end: false });
    });
}

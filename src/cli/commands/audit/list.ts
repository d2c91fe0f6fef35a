import type { Command } from "commander";
import type { AuditEntry } from "../../../contract/audit.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";
import { parseCount } from "../../parse.ts";
import { addFilterOptions, type FilterOptions, readFilter } from "./filter-options.ts";

interface ListOptions extends FilterOptions {
  follow?: boolean;
  after?: string;
  limit?: string;
}

export function addAuditList(parent: Command): void {
  const command = addFilterOptions(parent.command("list").alias("ls"))
    .description("Print recorded calls, the newest last. With --follow --json a line each.")
    .option("-f, --follow", "go on with those that come; none is missed and none comes twice")
    .option("--after <seq>", "those after this entry only, the oldest first")
    .option("-n, --limit <n>", "at most so many (default: 200; not with --follow)")
    .action(async (options: ListOptions) => {
      const filter = readFilter(options);
      const after = options.after === undefined ? undefined : parseCount("--after", options.after);
      const limit = options.limit === undefined ? undefined : parseCount("--limit", options.limit);
      const { client, asJson } = await openContext(command);
      if (options.follow) {
        for await (const entry of client.audit.follow({ ...filter, after }))
          process.stdout.write(`${asJson ? JSON.stringify(entry) : formatEntry(entry)}\n`);
        return;
      }
      const page = await client.audit.list({ ...filter, after, limit });
      if (asJson) return printJson(page);
      for (const entry of page.entries) process.stdout.write(`${formatEntry(entry)}\n`);
      const last = page.entries.at(-1);
      if (page.more && last !== undefined) process.stderr.write(`There are more: --after ${last.seq}\n`);
    });
}

function formatEntry(entry: AuditEntry): string {
  if ("note" in entry) {
    const { what, ...facts } = entry.note;
    const told = Object.entries(facts).map(([key, value]) => `${key}=${value}`);
    return stripControl([entry.at, "note", what, ...told].join("  "));
  }
  const { at, client, server, tool, method, verdict, code, requestBytes, responseBytes, durationMs, vm } = entry;
  const who = [client.principal, ...(client.name === undefined ? [] : [client.name])].join("/");
  const facts = [
    code,
    vm === undefined ? undefined : `vm ${vm}`,
    `${formatBytes(requestBytes)} in, ${formatBytes(responseBytes)} out`,
    `${Math.round(durationMs)} ms`,
  ].filter((fact) => fact !== undefined);
  return stripControl([at, who, server, tool ?? method ?? "", verdict, facts.join("; ")].join("  "));
}

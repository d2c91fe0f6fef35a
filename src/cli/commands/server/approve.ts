import type { Command } from "commander";
import { askYes } from "../../ask.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { describeScan } from "./scan.ts";

export function addServerApprove(parent: Command): void {
  const command = parent
    .command("approve")
    .summary("have what an MCP server offers now offered to clients")
    .description(
      "Show how what an MCP server offers differs from what was approved, and approve it. What has not been approved is neither offered nor called.",
    )
    .argument("<server>", "name")
    .option("--tool <name...>", "these tools only, under the server's own names")
    .option("-y, --yes", "without asking")
    .action(async (name: string, { tool, yes }: { tool?: string[]; yes?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const scan = await client.servers.scan(name, { onProgress: progress.update }).finally(() => progress.clear());
      const pending = scan.pending.filter(
        (each) => tool === undefined || (each.kind === "tool" && tool.includes(each.name)),
      );
      if (!asJson) process.stdout.write(`${describeScan({ ...scan, pending }).join("\n")}\n`);
      if (pending.length === 0 && tool === undefined) {
        if (asJson) printJson(scan);
        return;
      }
      if (!yes && !(await askYes(`Approve these ${pending.length}?`, "Approve without asking: --yes"))) return;
      const only = tool?.map((each) => ({ kind: "tool" as const, name: each }));
      const after = await client.servers
        .approve(name, only === undefined ? {} : { only }, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) printJson(after);
      else process.stdout.write(`${pending.length} approved\n`);
    });
}

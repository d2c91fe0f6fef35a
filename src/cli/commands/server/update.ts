import type { Command } from "commander";
import type { ServerUpdated } from "../../../contract/server.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addServerUpdate(parent: Command): void {
  const command = parent
    .command("update")
    .summary("install MCP servers anew")
    .description(
      "Install MCP servers anew, in build VMs, and say which packages that changes. What they offer then and has not been approved waits for that: 'server approve'.",
    )
    .argument("[servers...]", "names (default: all that have been installed)")
    .option("--dry-run", "only say what would change")
    .action(async (names: string[], { dryRun = false }: { dryRun?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const installed = (await client.servers.list()).filter(({ packages }) => packages.length > 0);
      const updates: ServerUpdated[] = [];
      for (const name of names.length > 0 ? names : installed.map((server) => server.name)) {
        const update = await client.servers
          .update(name, dryRun, { onProgress: progress.update })
          .finally(() => progress.clear());
        updates.push(update);
        if (!asJson) process.stdout.write(describeUpdate(update));
      }
      if (asJson) printJson({ updates });
    });
}

function describeUpdate({ server, isTrial, changes }: ServerUpdated): string {
  if (changes.length === 0) return `${server}: up to date\n`;
  const lines = changes.map(
    ({ name, from, to }) => `  ${name}  ${from ?? "new"} -> ${to ?? "gone"}${from === to ? " (other content)" : ""}`,
  );
  return `${[`${server}: ${changes.length} packages ${isTrial ? "would change" : "have changed"}`, ...lines].join("\n")}\n`;
}

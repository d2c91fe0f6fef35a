import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";

export function addKeyCreate(parent: Command): void {
  const command = parent
    .command("create")
    .description(
      "Make an API key and print it, this once: the daemon keeps only its digest. Whoever has it can do with all VMs what you can.",
    )
    .argument("[name]", "what it is listed under (default: its id)")
    .option("--expires <time>", "how long it is good for, such as 12h or 30d (default: until it is revoked)")
    .action(async (name: string | undefined, options: { expires?: string }) => {
      const lifeMs = options.expires === undefined ? undefined : parseDurationMs("--expires", options.expires);
      const { client, asJson } = await openContext(command);
      const created = await client.keys.create({ name, lifeMs });
      if (asJson) return printJson(created);
      // The key alone on stdout, so that a script may keep it.
      process.stderr.write(`${created.name}${created.expiresAt ? `, until ${created.expiresAt}` : ""}:\n`);
      process.stdout.write(`${created.key}\n`);
    });
}

import path from "node:path";
import type { Command } from "commander";
import { openContext } from "../context.ts";
import { printJson } from "../output.ts";
import { findServersFile } from "../servers-file.ts";

export function addDown(program: Command): void {
  const command = program
    .command("down")
    .summary("end the VMs of a file's MCP servers")
    .description(
      "End the VMs of a file's MCP servers. What they were saved as stays, and their next call begins with it; --delete takes that away, too. What servers have changed in copies of this host's directories comes back to them first.",
    )
    .option("-c, --config <file>", "the file (default: as of 'firebreak up')")
    .option("--delete", "also forget the servers, and delete what was saved of them")
    .action(async ({ config, delete: isDeleted = false }: { config?: string; delete?: boolean }) => {
      const { client, asJson } = await openContext(command);
      const servers = await client.servers.list();
      // Servers outlive their file.
      const isKnown = config !== undefined && servers.some(({ source }) => source === path.resolve(config));
      const file = isKnown ? path.resolve(config) : findServersFile(config);
      const names = servers.filter(({ source }) => source === file).map(({ name }) => name);
      // What has not come back of a server's copies keeps it, and does not keep the others from ending.
      const failures: unknown[] = [];
      for (const name of names) await client.servers.stop(name).catch((thrown: unknown) => failures.push(thrown));
      if (failures.length > 0) throw failures[0];
      if (isDeleted) await client.servers.apply({ source: file, servers: [] });
      if (asJson) return printJson({ file, [isDeleted ? "deleted" : "stopped"]: names });
      if (names.length === 0) process.stderr.write(`There are no servers of ${file}: nothing to end.\n`);
      for (const name of names) process.stdout.write(`${name}\n`);
    });
}

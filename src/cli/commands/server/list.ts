import type { Command } from "commander";
import type { Server } from "../../../contract/server.ts";
import { stripLines } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";

export function addServerList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all MCP servers: what they are, and what they offer.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const servers = await client.servers.list();
      if (asJson) return printJson({ servers });
      if (servers.length === 0)
        return void process.stdout.write(
          "No MCP servers. A configuration file brings them: firebreak up --config FILE\n",
        );
      printServers(servers);
      printFailures(servers);
    });
}

/** Why a server does not work, and what there is to do about it. */
export function printFailures(servers: readonly Server[]): void {
  for (const { name, state, reason, retryAt } of servers) {
    if (state !== "failed" || reason === undefined) continue;
    const waitMs = retryAt === undefined ? 0 : Date.parse(retryAt) - Date.now();
    const when = waitMs > 0 ? `A call tries again in ${Math.ceil(waitMs / 1_000)} s; at once` : "Try again";
    process.stdout.write(
      `\n${name}: ${stripLines(reason, "    ")}\n  ${when}: firebreak server start ${name}. What it has printed: firebreak server logs ${name}\n`,
    );
  }
}

export function printServers(servers: readonly Server[]): void {
  printTable(
    ["NAME", "STATE", "PACKAGE", "PROTOCOL", "TOOLS", "SCAN", "WAITING", "NETWORK", "VMS", "PREPARED"],
    servers.map(({ name, state, packages, protocol, tools, config, vms, preparedAt, scan, waiting }) => [
      name,
      state,
      packages[0] === undefined ? "-" : `${packages[0].name} ${packages[0].version}`,
      protocol?.version ?? "-",
      String(tools.length),
      scan ?? "-",
      String(waiting),
      config.kind === "vm" ? config.network.mode : "remote",
      String(vms.length),
      preparedAt === undefined ? "-" : `${formatAge(preparedAt)} ago`,
    ]),
  );
}

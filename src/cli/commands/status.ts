import type { Command } from "commander";
import type { Server } from "../../contract/server.ts";
import { openContext } from "../context.ts";
import { formatAge, formatBytes, printFacts, printJson } from "../output.ts";
import { printFailures, printServers } from "./server/list.ts";

export function addStatus(program: Command): void {
  const command = program
    .command("status")
    .summary("what runs: the daemon, VMs, MCP servers")
    .description("Show what runs: the daemon, how many VMs, and the MCP servers.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const [daemon, servers] = await Promise.all([client.status(), client.servers.list()]);
      if (asJson) return printJson({ daemon, servers });
      const { pid, startedAt, version, rssBytes, vms } = daemon;
      printFacts([
        ["daemon", `firebreak ${version}, process ${pid}, up ${formatAge(startedAt)}, ${formatBytes(rssBytes)}`],
        ["vms", `${vms.running} of ${vms.total} run`],
        ["servers", servers.length === 0 ? "none: firebreak up --config FILE" : countStates(servers)],
      ]);
      if (servers.length > 0) {
        process.stdout.write("\n");
        printServers(servers);
        for (const { name, state, reason } of servers)
          if (state === "needs_login") process.stdout.write(`\n${name}: ${reason ?? "it needs a login"}`);
        printFailures(servers);
      }
    });
}

/** `3: 1 running, 2 stopped`. */
function countStates(servers: readonly Server[]): string {
  const counts = new Map<string, number>();
  for (const { state } of servers) counts.set(state, (counts.get(state) ?? 0) + 1);
  return `${servers.length}: ${[...counts].map(([state, count]) => `${count} ${state}`).join(", ")}`;
}

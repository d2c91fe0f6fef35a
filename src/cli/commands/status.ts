import type { Command } from "commander";
import { openContext } from "../context.ts";
import { formatAge, formatBytes, printFacts, printJson } from "../output.ts";
import { printServers } from "./server/list.ts";

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
        ["servers", servers.length === 0 ? "none: firebreak up --config FILE" : String(servers.length)],
      ]);
      if (servers.length > 0) {
        process.stdout.write("\n");
        printServers(servers);
        for (const { name, state, reason } of servers)
          if (state === "needs_login") process.stdout.write(`\n${name}: ${reason ?? "it needs a login"}`);
      }
    });
}

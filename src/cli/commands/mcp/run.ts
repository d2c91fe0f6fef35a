import type { Command } from "commander";
import { serveThroughDaemon } from "../../serve-through-daemon.ts";

export function addMcpRun(parent: Command): void {
  parent
    .command("run")
    .summary("one MCP server, on stdin and stdout")
    .description(
      "Speak to one MCP server over stdin and stdout, as if it ran here. It runs in its VM, which clients share unless its configuration says otherwise.",
    )
    .argument("<server>", "name, as 'server list' has it")
    .action((server: string) => serveThroughDaemon(`/servers/${encodeURIComponent(server)}/mcp`));
}

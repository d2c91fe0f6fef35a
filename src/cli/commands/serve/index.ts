import { type Command, Option } from "commander";
import { serveThroughDaemon } from "../../serve-through-daemon.ts";

interface ServeFlags {
  toolsets?: string;
  servers?: true;
  conformanceFixtures?: true;
}

export function addServeCommands(program: Command): void {
  const serve = program.command("serve").description("serve VMs to other programs");
  serve
    .command("mcp")
    .summary("MCP server on stdin and stdout")
    .description(
      "Serve VMs as MCP tools on stdin and stdout. A client starts this; from a terminal it prints how to register it.",
    )
    .addOption(
      new Option(
        "--toolsets <list>",
        "tools to serve: guest, vm, snapshot, template, image … with commas between, or all (default: guest,vm,snapshot)",
      ).env("FIREBREAK_TOOLSETS"),
    )
    .option("--servers", "serve the tools of the MCP servers in VMs, and of firebreak's own only those of --toolsets")
    .addOption(
      new Option("--conformance-fixtures", "serve HTTP on loopback, with what the conformance suite calls").hideHelp(),
    )
    .action(async ({ toolsets, servers, conformanceFixtures }: ServeFlags) => {
      const { serveMcp, serveMcpFixtures } = await import("./mcp.ts");
      if (conformanceFixtures) await serveMcpFixtures();
      else if (servers) await serveThroughDaemon(`/mcp?toolsets=${encodeURIComponent(toolsets ?? "none")}`);
      else await serveMcp({ toolsets });
    });
}

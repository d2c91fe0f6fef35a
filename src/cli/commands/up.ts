import path from "node:path";
import type { Command } from "commander";
import type { DaemonClient } from "../../client/daemon-client.ts";
import type { Server } from "../../contract/server.ts";
import { type ErrorBody, toFirebreakError } from "../../errors/firebreak-error.ts";
import { stripLines } from "../../platform/terminal-text.ts";
import { openContext } from "../context.ts";
import { printJson } from "../output.ts";
import type { ProgressLine } from "../progress.ts";
import { findServersFile, loadServersFile } from "../servers-file.ts";
import { printServers } from "./server/list.ts";
import { printConfigWarnings } from "./server/warnings.ts";

/** Of the whole when some of the servers could not be made ready. */
const EXIT_SOME_FAILED = 7;

export function addUp(program: Command): void {
  const command = program
    .command("up")
    .summary("make the MCP servers of a file ready")
    .description(
      "Make the MCP servers of a file ready: each is installed in a VM of its own the first time, started, looked at and saved, and from then on brought back by the first call. The file is watched: what changes in it is changed. Without --config it is ./firebreak.toml, ./.mcp.json, ./mcp.json, ./servers.json or $FIREBREAK_HOME/firebreak.toml. Ends with 7 when some of them could not be made ready.",
    )
    .option("-c, --config <file>", "a firebreak.toml, or the JSON of an MCP client")
    .option(
      "-w, --workspace <dir>",
      "a directory that each server gets a copy of at /mcp-workspace; what it changes comes back when it stops",
    )
    .action(async ({ config, workspace: given }: { config?: string; workspace?: string }) => {
      const file = findServersFile(config);
      const workspace = given === undefined ? undefined : path.resolve(given);
      const { servers, warnings: told } = loadServersFile(file, workspace);
      const { client, asJson, progress } = await openContext(command);
      if (!asJson) printConfigWarnings(told, file);
      const applied = await client.servers.apply({
        source: file,
        servers,
        ...(workspace === undefined ? {} : { workspace }),
      });
      const failures = await prepareAll(
        client,
        servers.filter(({ enabled }) => enabled).map(({ name }) => name),
        progress,
      );
      const mine = (await client.servers.list()).filter(({ source }) => source === file);
      if (failures.length > 0) process.exitCode = EXIT_SOME_FAILED;
      if (asJson) return printJson({ file, applied, servers: mine, failures });
      process.stdout.write(`MCP servers of ${file}:\n`);
      if (mine.length > 0) printServers(mine);
      else process.stdout.write("  none. Each is a table [servers.NAME] with a command: docs/gateway.md shows some.\n");
      for (const { name, warnings } of mine)
        for (const warning of warnings) process.stderr.write(`${name}: ${stripLines(warning, "    ")}\n`);
      if (applied.removed.length > 0)
        process.stdout.write(`\nDeleted, since the file has them no more: ${applied.removed.join(", ")}\n`);
      for (const { name, error } of failures) printFailure(name, error);
      const isReady = mine.some(({ state }) => state === "running" || state === "stopped");
      if (isReady) process.stdout.write(`\n${hints(mine).join("\n")}\n`);
    });
}

function printFailure(name: string, { code, message, hint }: ErrorBody): void {
  const next = `Then: firebreak server start ${name}. What it has printed: firebreak server logs ${name}`;
  // It may end with what a package's installer has printed.
  const said = `${name}: ${stripLines(message, "    ")} (${code})`;
  process.stderr.write(`\n${said}\n${hint === undefined ? "" : `  ${stripLines(hint, "  ")}\n`}  ${next}\n`);
}

async function prepareAll(client: DaemonClient, names: string[], progress: ProgressLine) {
  const failures: { name: string; error: ErrorBody }[] = [];
  for (const name of names) {
    try {
      await client.servers.prepare(name, { onProgress: progress.update });
    } catch (thrown) {
      failures.push({ name, error: toFirebreakError(thrown).toBody() });
    } finally {
      progress.clear();
    }
  }
  return failures;
}

function hints(servers: readonly Server[]): string[] {
  const waiting = servers.filter((server) => server.waiting > 0);
  const found = servers.filter(({ scan }) => scan === "warning" || scan === "danger");
  return [
    ...found.map(({ name, scan }) => `What '${name}' offers was found to be a ${scan}: firebreak server scan ${name}`),
    ...waiting.map(
      ({ name, waiting: count }) =>
        `${count} of what '${name}' offers waits for an approval: firebreak server approve ${name}`,
    ),
    "Register them with a client: firebreak gen-config --client claude-code --servers --write (or cursor, vscode, codex, …)",
    "A client that starts its servers itself runs: firebreak serve mcp --servers, or firebreak mcp run NAME",
  ];
}

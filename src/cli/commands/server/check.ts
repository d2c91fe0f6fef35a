import { existsSync } from "node:fs";
import type { Command } from "commander";
import { describePolicy } from "../../../contract/policy.ts";
import type { ServerConfig, VmServer } from "../../../contract/server.ts";
import { readServersFile, type ServersFile } from "../../../gateway/config/read.ts";
import { hasPassword, isToken } from "../../../gateway/config/tokens.ts";
import { isJson } from "../../context.ts";
import { formatDuration, printFacts, printJson } from "../../output.ts";
import { readInput } from "../../read-input.ts";
import { findServersFile, readInstalledSets } from "../../servers-file.ts";
import { printConfigWarnings } from "./warnings.ts";

export function addServerCheck(parent: Command): void {
  const command = parent
    .command("check")
    .description(
      "Read a file of MCP servers (firebreak.toml, or a client's JSON) and print what each would get: files, network, secrets, memory. Nothing is started. Exit code 2, with the line, when something is wrong.",
    )
    .argument("[file]", "the file, or - for stdin (default: the one that 'up' would take)")
    .action(async (given: string | undefined) => {
      const file = given ?? findServersFile(undefined);
      const text = (await readInput(file)).toString("utf8");
      const found = readServersFile(text, file === "-" ? "stdin" : file, { sets: readInstalledSets() });
      if (isJson(command)) return printJson(toJson(found));
      for (const [index, server] of found.servers.entries()) {
        if (index > 0) process.stdout.write("\n");
        printServer(server);
      }
      if (found.servers.length === 0) process.stdout.write("no server\n");
      printConfigWarnings(found.warnings, file);
    });
}

function printServer(server: ServerConfig): void {
  process.stdout.write(`${server.name}${server.enabled ? "" : " (not enabled)"}\n`);
  const { allow, deny } = server.tools;
  const tools: [string, string | undefined][] = [
    ["  tools", allow === undefined ? undefined : `only ${allow.join(", ")}`],
    ["  no tools", deny === undefined ? undefined : deny.join(", ")],
  ];
  if (server.kind === "remote") {
    printFacts([
      ["  runs", "elsewhere"],
      ["  url", hide(server.url)],
      ["  headers", Object.keys(server.headers).join(", ") || undefined],
      ...tools,
    ]);
    return;
  }
  const { memoryMib, diskMib, cpus, secrets, env, profile, resident, idleTimeoutMs, isolation, sessionTimeoutMs } =
    server;
  printFacts([
    ["  runs", describeProgram(server)],
    ["  profiles", profile.join(", ") || undefined],
    ["  files", describeMounts(server).join(", ") || "none of this host"],
    ["  network", describePolicy(server.network).join("; ")],
    ["  secrets", secrets.map(describeSecret).join(", ") || "none"],
    ["  variables", Object.keys(env).join(", ") || undefined],
    ["  machine", `${memoryMib} MiB, ${cpus} CPU${cpus > 1 ? "s" : ""}, ${diskMib} MiB of disk`],
    ["  stops", resident ? "with the daemon" : `after ${formatDuration(idleTimeoutMs)} without a call`],
    [
      "  VM",
      isolation === "session"
        ? `one for each session of a client, until that is over or ${formatDuration(sessionTimeoutMs)} without a call`
        : undefined,
    ],
    ...tools,
  ]);
}

function describeProgram({ command, args, image }: VmServer): string {
  const words = (command.length > 0 ? command : ["the image's own command", ...args]).map(hide).join(" ");
  return image === undefined ? words : `${words} (image ${image})`;
}

function describeMounts({ mounts }: VmServer): string[] {
  return mounts.map(({ path: host, at, access, mode }) => {
    const facts = [access, ...(mode === "copy" ? ["copy"] : []), ...(existsSync(host) ? [] : ["not there"])];
    return `${host}${at === host ? "" : ` at ${at}`} (${facts.join(", ")})`;
  });
}

function describeSecret({ name, hosts, expose }: VmServer["secrets"][number]): string {
  return `${name}${hosts === undefined ? "" : ` for ${hosts.join(", ")}`}${expose === "env" ? " (the value itself)" : ""}`;
}

/** A token that stands in the file is not shown again; parameters of URLs often are tokens. */
function hide(word: string): string {
  return isToken(word) || hasPassword(word) ? "…" : word.replace(/(?<=^https?:[^?]*\?).*/s, "…");
}

/** Variables and headers by their names: their values may be tokens. */
function toJson({ servers, profiles, warnings }: ServersFile): unknown {
  const shown = servers.map((server) =>
    server.kind === "remote"
      ? { ...server, url: hide(server.url), headers: Object.keys(server.headers) }
      : { ...server, command: server.command.map(hide), args: server.args.map(hide), env: Object.keys(server.env) },
  );
  return { servers: shown, profiles, warnings };
}

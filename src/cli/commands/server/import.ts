import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import type { DaemonClient } from "../../../client/daemon-client.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { type ImportedSecret, type ImportedServers, importServers } from "../../../gateway/config/import.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { isJson, openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { readInput } from "../../read-input.ts";
import { printConfigWarnings } from "./warnings.ts";

interface ImportOptions {
  output: string;
  dryRun?: boolean;
  force?: boolean;
  replaceSecrets?: boolean;
}

export function addServerImport(parent: Command): void {
  const command = parent
    .command("import")
    .description(
      "Turn the servers of an MCP client's file (Claude, Cursor, VS Code, Gemini, opencode, Zed, Codex, FireMCP), of 'thv export' or of 'docker mcp profile export' (JSON) into a firebreak.toml. Tokens in it go into the vault; the new file names them.",
    )
    .argument("<file>", "such as .mcp.json, mcp.json, opencode.jsonc or servers.json")
    .option("-o, --output <file>", "the file to write", "firebreak.toml")
    .option("--dry-run", "print what would be written; nothing is, and the vault stays as it is")
    .option("--force", "write over a file that is there")
    .option("--replace-secrets", "also of secrets that the vault has: give them the file's values")
    .action(async (file: string, options: ImportOptions) => {
      const text = (await readInput(file)).toString("utf8");
      const found = importServers(text, file);
      if (options.dryRun && isJson(command))
        return printJson({ output: options.output, written: false, toml: found.toml, ...tell(found) });
      if (options.dryRun) {
        printPlan(found, file);
        return;
      }
      const output = path.resolve(options.output);
      // Before a secret is set.
      if (existsSync(output) && !options.force) throw alreadyThere(output);
      const set =
        found.secrets.length === 0 ? [] : await setSecrets((await openContext(command)).client, found.secrets, options);
      await write(output, found.toml, options);
      if (isJson(command)) {
        const secrets = set.map(({ isSet, ...rest }) => ({ ...rest, set: isSet }));
        return printJson({ output, written: true, ...tell(found), secrets });
      }
      printDone(found, { file, output, set });
    });
}

interface SecretOutcome {
  name: string;
  hosts: string[];
  from: string;
  /** False: the vault had one of the name, which stays. */
  isSet: boolean;
}

async function setSecrets(
  client: DaemonClient,
  secrets: readonly ImportedSecret[],
  { replaceSecrets = false }: ImportOptions,
): Promise<SecretOutcome[]> {
  const there = new Set((await client.secrets.list()).map(({ name }) => name));
  const outcomes: SecretOutcome[] = [];
  for (const { name, value, hosts, expose, aws, from } of secrets) {
    const isSet = replaceSecrets || !there.has(name);
    if (isSet)
      await client.secrets.set(name, {
        value,
        ...(hosts.length === 0 ? {} : { hosts }),
        ...(expose === undefined ? {} : { expose }),
        ...(aws === undefined ? {} : { aws }),
      });
    outcomes.push({ name, hosts, from, isSet });
  }
  return outcomes;
}

async function write(output: string, toml: string, { force = false }: ImportOptions): Promise<void> {
  try {
    await writeFile(output, toml, { flag: force ? "w" : "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw alreadyThere(output);
    throw new FirebreakError(
      code === "ENOENT" ? "HOST_PATH_NOT_FOUND" : "PERMISSION_DENIED",
      `${output} cannot be written (${code})`,
      { cause: error },
    );
  }
}

function alreadyThere(output: string): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `${output} is there already`, {
    hint: "Name another file with --output, or write over it with --force.",
  });
}

/** Of secrets the names, where they may go and where they were found; no value. */
function tell({ servers, secrets, needed, notes, warnings }: ImportedServers) {
  const facts = ({ name, hosts, from }: { name: string; hosts: string[]; from: string }) => ({ name, hosts, from });
  return { servers, secrets: secrets.map(facts), needed: needed.map(facts), notes, warnings };
}

function printPlan(found: ImportedServers, file: string): void {
  process.stdout.write(found.toml);
  for (const { name, from } of found.secrets) say(`would go into the vault: ${name} (${from})`);
  printRest(found, file);
}

function printDone(
  found: ImportedServers,
  { file, output, set }: { file: string; output: string; set: SecretOutcome[] },
): void {
  process.stdout.write(`${stripControl(output)}: ${found.servers.map(({ name }) => name).join(", ") || "no server"}\n`);
  for (const { name, hosts, isSet } of set)
    say(
      isSet
        ? `in the vault: ${name}, for ${hosts.join(", ") || "no host yet"}`
        : `the vault has ${name} already, and it stays as it is (--replace-secrets gives it the value of the file)`,
    );
  if (set.some(({ isSet }) => isSet)) say(`the tokens still stand in ${file}: take them out when the servers work`);
  printRest(found, file);
}

/** What is left to do. */
function printRest({ secrets, needed, notes, warnings, servers }: ImportedServers, file: string): void {
  for (const { given, name } of servers) if (given !== name) say(`'${given}' is ${name} now`);
  for (const { name, hosts, expose } of secrets)
    if (hosts.length === 0 && expose === undefined)
      say(`to do: say where ${name} may go: firebreak secret set ${name} --host HOST`);
  for (const { name, hosts } of needed)
    say(`to do: firebreak secret set ${name}${hosts.map((host) => ` --host ${host}`).join("") || " --host HOST"}`);
  const told = new Set(warnings.map(({ message }) => message));
  for (const { server, text } of notes) if (!told.has(text) && !text.startsWith("hosts = ")) say(`${server}: ${text}`);
  printConfigWarnings(warnings, file);
}

function say(line: string): void {
  process.stderr.write(`${stripControl(line)}\n`);
}

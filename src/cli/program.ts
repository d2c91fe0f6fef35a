import { Command, CommanderError, Option } from "commander";
import { ERROR_CODES, type ErrorCode } from "../errors/catalogue.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { readVersion } from "../platform/package-files.ts";
import { EXAMPLES, formatExamples } from "./examples.ts";
import { withFlag } from "./flag-names.ts";
import { printError } from "./output.ts";

const EPILOGUE = `
Examples:
  $ firebreak run -- uname -a                   a command in a VM of its own, gone afterwards
  $ firebreak vm create web --memory 1G         a VM that stays
  $ firebreak vm exec web -- python3 -V
  $ firebreak vm shell web
  $ firebreak vm cp ./src web:/root/src
  $ firebreak run --workspace . -- make test    this directory, and what the command changes in it
  $ firebreak snapshot create web ready         what it is now, to come back to
  $ firebreak snapshot fork ready attempt-1     a second VM that goes on from there
  $ claude mcp add firebreak -- firebreak serve mcp

State is kept in $FIREBREAK_HOME (default ~/.firebreak). To use a daemon on another host, set $FIREBREAK_URL and $FIREBREAK_API_KEY.
'firebreak COMMAND --help' tells more.`;

/** Adds a command to the program. `hasSeparator`: the words hold `--`, so that options may also stand behind a command's own arguments. */
type Add = (program: Command, hasSeparator: boolean) => void;

/** By first word, in the order of the help. Each is loaded when it is needed: loading all takes longer than a VM's start. */
const COMMANDS: Record<string, () => Promise<Add>> = {
  run: async () => (await import("./commands/run.ts")).addRun,
  vm: async () => (await import("./commands/vm/index.ts")).addVmCommands,
  forward: async () => (await import("./commands/forward/index.ts")).addForwardCommands,
  "ssh-config": async () => (await import("./commands/ssh-config.ts")).addSshConfig,
  snapshot: async () => (await import("./commands/snapshot/index.ts")).addSnapshotCommands,
  drive: async () => (await import("./commands/drive/index.ts")).addDriveCommands,
  volume: async () => (await import("./commands/volume/index.ts")).addVolumeCommands,
  artifact: async () => (await import("./commands/artifact/index.ts")).addArtifactCommands,
  workspace: async () => (await import("./commands/workspace/index.ts")).addWorkspaceCommands,
  template: async () => (await import("./commands/template/index.ts")).addTemplateCommands,
  event: async () => (await import("./commands/event/index.ts")).addEventCommands,
  secret: async () => (await import("./commands/secret/index.ts")).addSecretCommands,
  task: async () => (await import("./commands/task/index.ts")).addTaskCommands,
  agent: async () => (await import("./commands/agent/index.ts")).addAgentCommands,
  usage: async () => (await import("./commands/usage.ts")).addUsage,
  dashboard: async () => (await import("./commands/dashboard.ts")).addDashboard,
  up: async () => (await import("./commands/up.ts")).addUp,
  down: async () => (await import("./commands/down.ts")).addDown,
  update: async () => (await import("./commands/server/update.ts")).addServerUpdate,
  purge: async () => (await import("./commands/purge.ts")).addPurge,
  status: async () => (await import("./commands/status.ts")).addStatus,
  server: async () => (await import("./commands/server/index.ts")).addServerCommands,
  audit: async () => (await import("./commands/audit/index.ts")).addAuditCommands,
  egress: async () => (await import("./commands/egress/index.ts")).addEgressCommands,
  network: async () => (await import("./commands/network/index.ts")).addNetworkCommands,
  image: async () => (await import("./commands/image/index.ts")).addImageCommands,
  kernel: async () => (await import("./commands/kernel/index.ts")).addKernelCommands,
  key: async () => (await import("./commands/key/index.ts")).addKeyCommands,
  api: async () => (await import("./commands/api/index.ts")).addApiCommands,
  mcp: async () => (await import("./commands/mcp/index.ts")).addMcpCommands,
  serve: async () => (await import("./commands/serve/index.ts")).addServeCommands,
  "gen-config": async () => (await import("./commands/gen-config.ts")).addGenConfig,
  "mcp-bridge": async () => (await import("./commands/mcp-bridge.ts")).addMcpBridge,
  daemon: async () => (await import("./commands/daemon/index.ts")).addDaemonCommands,
  host: async () => (await import("./commands/host/index.ts")).addHostCommands,
  setup: async () => (await import("./commands/setup.ts")).addSetup,
  doctor: async () => (await import("./commands/doctor.ts")).addDoctor,
  completion: async () => (await import("./commands/completion.ts")).addCompletion,
};

/** The program with the command that `args` begin with; with all where they begin with none, or with one that needs to know them. */
export async function createProgram(args: string[] = []): Promise<Command> {
  const program = new Command("firebreak")
    .description(
      "Real machines for AI agents: microVMs that are reached over MCP. What runs in them reaches what their policy names, and nothing else.",
    )
    .version(readVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .addOption(new Option("--json", "print results and errors as JSON"))
    .addHelpText("after", EPILOGUE)
    .showSuggestionAfterError(true)
    .enablePositionalOptions();
  const first = args[0] ?? "";
  const isOne = Object.hasOwn(COMMANDS, first) && first !== "completion";
  for (const name of isOne ? [first] : Object.keys(COMMANDS))
    (await COMMANDS[name]?.())?.(program, args.includes("--"));
  for (const command of allCommands(program)) {
    const examples = EXAMPLES[wordsOf(command).slice(1).join(" ")];
    if (examples !== undefined) command.addHelpText("after", formatExamples(examples));
    command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .allowExcessArguments(false);
    if (command !== program)
      command
        .helpOption("-h, --help", "print help")
        .addOption(new Option("--json", "print results and errors as JSON"));
  }
  return program;
}

export function* allCommands(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* allCommands(child);
}

/** Runs the command line; returns the exit code. */
export async function runCli(args: string[]): Promise<number> {
  const program = await createProgram(args);
  const asJson = args.slice(0, args.includes("--") ? args.indexOf("--") : args.length).includes("--json");
  try {
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0 || thrown.code === "commander.help")
        return thrown.exitCode === 0 ? 0 : printHelp(program, args);
      const error = toUsageError(thrown, program, args);
      printError(error, asJson);
      return exitCodeFor(error, args);
    }
    const error = toFirebreakError(thrown);
    printError(error, asJson, withFlag(error, deepest(program, args)));
    if (ERROR_CODES[error.code].class === "internal" && error.cause instanceof Error && process.env.FIREBREAK_DEBUG) {
      process.stderr.write(`${error.cause.stack}\n`);
    }
    return exitCodeFor(error, args);
  }
}

/** What `run`, `vm exec` and `vm shell` end with when the failure is ours: any other number could be the command's own. */
const AROUND_EXEC = 125;
const PASSED_ON: ReadonlySet<ErrorCode> = new Set([
  "COMMAND_NOT_FOUND",
  "COMMAND_NOT_EXECUTABLE",
  "OPERATION_CANCELED",
]);

function exitCodeFor(error: FirebreakError, args: string[]): number {
  const passesExitCodeOn = args[0] === "run" || (args[0] === "vm" && (args[1] === "exec" || args[1] === "shell"));
  return passesExitCodeOn && !PASSED_ON.has(error.code) ? AROUND_EXEC : error.exitCode;
}

/** Commander's complaints that have a code of their own here. */
const USAGE_CODES: Record<string, ErrorCode> = {
  "commander.unknownCommand": "UNKNOWN_COMMAND",
  "commander.unknownOption": "UNKNOWN_FLAG",
};

/** Commander's complaint with a code, what may have been meant in the hint. */
function toUsageError(thrown: CommanderError, program: Command, args: string[]): FirebreakError {
  const [message = "", suggested] = thrown.message.replace(/^error: /, "").split("\n");
  const code = USAGE_CODES[thrown.code] ?? "INVALID_ARGUMENT";
  const suggestion = suggested?.replace(/^\(Did you mean (.*)\?\)$/, "$1") ?? findVerb(program, message);
  const meant = suggestion === undefined ? "" : `Did you mean ${suggestion}? `;
  return new FirebreakError(code, message, { hint: `${meant}See: ${helpCommand(program, args)}` });
}

/** `vm exec` for somebody who knows containers and writes `exec`: the first noun that has the verb. Or `firebreak usage` for `task usage`. */
function findVerb(program: Command, message: string): string | undefined {
  const verb = /^unknown command '(.*)'$/s.exec(message)?.[1];
  if (Object.hasOwn(COMMANDS, verb ?? "")) return `firebreak ${verb}`;
  for (const noun of program.commands) {
    const hasVerb = noun.commands.some((child) => child.name() === verb || child.aliases().includes(verb ?? ""));
    if (hasVerb) return `${noun.name()} ${verb}`;
  }
  return undefined;
}

/** A noun without a verb: its help, and exit code 2, since nothing has been done. */
function printHelp(program: Command, args: string[]): number {
  process.stderr.write(deepest(program, args).helpInformation());
  return 2;
}

/** The command that `args` begin with. */
export function deepest(program: Command, args: string[]): Command {
  let command = program;
  for (const word of args) {
    const child = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word));
    if (child === undefined) break;
    command = child;
  }
  return command;
}

function helpCommand(program: Command, args: string[]): string {
  return `${wordsOf(deepest(program, args)).join(" ")} --help`;
}

/** `firebreak`, `vm`, `create`. */
function wordsOf(command: Command): string[] {
  const words: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) words.unshift(at.name());
  return words;
}

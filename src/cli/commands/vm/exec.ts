import type { Command } from "commander";
import type { ExecRequest } from "../../../contract/vm.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { isJson, openContext } from "../../context.ts";
import { runSession, terminalSize } from "../../exec-session.ts";
import { printJson } from "../../output.ts";
import { parseDurationMs, parseEnv } from "../../parse.ts";
import { collect } from "../vm-options.ts";

interface ExecOptions {
  env?: string[];
  cwd?: string;
  user?: string;
  timeout?: string;
  tty?: boolean;
  detach?: boolean;
}

export function addVmExec(parent: Command, hasSeparator: boolean): void {
  const exec = addExecOptions(
    parent
      .command("exec")
      .summary("run a command in a VM")
      .description("Run a command in a running VM; its exit code is passed on."),
  )
    .argument("<vm>", "name or id")
    .argument("<command...>", "the command and its arguments, after --")
    .option("--detach", "let it run in the background; prints its id for 'vm attach' and 'vm kill'")
    .passThroughOptions(!hasSeparator)
    .addHelpText(
      "after",
      `
Examples:
  $ firebreak vm exec web -- python3 -V
  $ tar c . | firebreak vm exec web -- tar x -C /workspace
  $ firebreak vm exec web --timeout 30s -- git -C /workspace status`,
    )
    .action((name: string, argv: string[], options: ExecOptions) => runExec(exec, name, argv, options));
  const shell = addExecOptions(
    parent.command("shell").summary("open a shell in a VM").description("Open a login shell in a running VM."),
  )
    .argument("<vm>", "name or id")
    .action((name: string, options: ExecOptions) => {
      if (isJson(shell) || terminalSize() === undefined) {
        throw new FirebreakError("INVALID_ARGUMENT", "a shell needs a terminal", {
          hint: `Without one: firebreak vm exec ${name} -- COMMAND`,
        });
      }
      return runExec(shell, name, ["/bin/sh", "-c", 'exec "$(command -v bash || echo sh)" -l'], options);
    });
}

function addExecOptions(command: Command): Command {
  return command
    .option("-e, --env <name=value>", "environment of the command (repeatable)", collect)
    .option("-w, --cwd <dir>", "working directory in the guest")
    .option("-u, --user <user>", "user in the guest: NAME or UID, with :GROUP or :GID (default: root)")
    .option("-t, --timeout <time>", "end the command after this time (exit code 124)")
    .option("--no-tty", "no terminal for the command, even when there is one");
}

async function runExec(command: Command, name: string, words: string[], options: ExecOptions): Promise<void> {
  // Behind the VM's name commander leaves the separator in place.
  const argv = words[0] === "--" ? words.slice(1) : words;
  const { client, asJson, progress } = await openContext(command);
  const tty = options.tty === false || options.detach || asJson ? undefined : terminalSize();
  const spec: ExecRequest = {
    argv,
    stdin: !options.detach,
    env: parseEnv(options.env ?? []),
    ...(tty === undefined ? {} : { tty }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.timeout === undefined ? {} : { timeoutMs: parseDurationMs("--timeout", options.timeout) }),
    ...(options.detach ? { detach: true } : {}),
  };
  const stream = await client.execs.start(name, spec, { onProgress: progress.update });
  if (options.detach) {
    try {
      for await (const _ of stream.output()) break;
    } finally {
      progress.clear();
    }
    if (asJson) printJson({ vm: name, ...stream.started });
    else process.stdout.write(`${stream.started?.id}\n`);
    return;
  }
  if (asJson) {
    const { collectExec } = await import("../../exec-json.ts");
    const result = await collectExec(stream);
    printJson(result.report);
    process.exitCode = result.exitCode;
    return;
  }
  process.exitCode = await runSession(stream, { hasTty: tty !== undefined, hasStdin: true, progress });
}

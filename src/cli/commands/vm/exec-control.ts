import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { runSession } from "../../exec-session.ts";
import { formatAge, printJson, printTable } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";

/** Commands for what runs in a VM already: `vm exec --detach` started it, or its caller went away with a dead daemon. */
export function addExecControl(parent: Command): void {
  const execs = parent
    .command("execs")
    .summary("list the commands that run, or have run, in a VM")
    .description("List the commands of a VM: those that run, and the last ones that ended.")
    .argument("<vm>", "name or id")
    .action(async (vm: string) => {
      const { client, asJson } = await openContext(execs);
      const list = await client.execs.list(vm);
      if (asJson) return printJson({ execs: list });
      if (list.length === 0) return void process.stdout.write("No commands.\n");
      const outcome = (exit: (typeof list)[number]["exit"]) =>
        exit === null ? "-" : exit.timedOut ? "timed out" : (exit.signal ?? String(exit.exitCode));
      printTable(
        ["ID", "STATE", "EXIT", "AGE", "COMMAND"],
        list.map((exec) => [
          exec.id,
          exec.state,
          outcome(exec.exit),
          formatAge(new Date(exec.startedAtMs).toISOString()),
          exec.argv
            .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)))
            .join(" ")
            .slice(0, 80),
        ]),
      );
    });
  const attach = parent
    .command("attach")
    .summary("follow a command that runs in a VM")
    .description(
      "Print what a command has said (the last MiB is kept) and what it says from now on; ends with its exit code. Ctrl-C leaves it running.",
    )
    .argument("<vm>", "name or id")
    .argument("<exec>", "id of the command, as 'vm execs' lists it")
    .option("--no-follow", "only what it has said so far")
    .action(async (vm: string, id: string, options: { follow: boolean }) => {
      const { client, progress } = await openContext(attach);
      const stream = await client.execs.attach(vm, id, 0, options.follow, { onProgress: progress.update });
      if (options.follow)
        process.exitCode = await runSession(stream, {
          hasTty: false,
          hasStdin: false,
          forwardsSignals: false,
          progress,
        });
      else {
        stream.onStarted = () => progress.clear();
        for await (const output of stream.output()) if (output.type !== "skipped") process.stdout.write(output.bytes);
      }
    });
  const kill = parent
    .command("kill")
    .summary("end a command that runs in a VM")
    .description("End a command's process group: SIGTERM, then SIGKILL.")
    .argument("<vm>", "name or id")
    .argument("<exec>", "id of the command, as 'vm execs' lists it")
    .option("-t, --time <time>", "how long it gets before SIGKILL (default: 2s)")
    .action(async (vm: string, id: string, options: { time?: string }) => {
      const { client, asJson } = await openContext(kill);
      await client.execs.kill(vm, id, options.time === undefined ? undefined : parseDurationMs("--time", options.time));
      if (asJson) printJson({ vm, exec: id });
    });
}

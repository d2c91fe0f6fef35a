import type { Command } from "commander";
import { DEFAULT_WORKSPACE_PATH } from "../../contract/workspace.ts";
import { openContext } from "../context.ts";
import { runSession, terminalSize } from "../exec-session.ts";
import { announceForwards } from "../forward-spec.ts";
import { toMounts } from "../mount-spec.ts";
import { printJson } from "../output.ts";
import { parseDurationMs } from "../parse.ts";
import { addNetworkOptions, type NetworkOptionValues, toNetwork, withPlaces } from "./network-options.ts";
import { addVmOptions, toPublish, toVmCreate, type VmOptionValues } from "./vm-options.ts";
import { addWorkspaceOptions, toWorkspace, type WorkspaceOptionValues } from "./workspace-options.ts";
import { printWorkspaceAfter } from "./workspace-report.ts";

interface RunOptions extends VmOptionValues, NetworkOptionValues, WorkspaceOptionValues {
  timeout?: string;
  cwd?: string;
  user?: string;
  tty?: boolean;
}

export function addRun(program: Command, hasSeparator: boolean): void {
  const command = program
    .command("run")
    .summary("run a command in a VM of its own, gone afterwards")
    .description(
      "Make a VM, run a command (or the image's own) in it as the image's user and in its directory, pass its exit code on, and delete the VM. Signals go to the command; a terminal becomes the command's.",
    )
    .argument("[command...]", "the command and its arguments, after -- (default: the image's own)");
  addWorkspaceOptions(addNetworkOptions(addVmOptions(command)))
    .option("-t, --timeout <time>", "end the command after this time, such as 30s or 5m (exit code 124)")
    .option("-w, --cwd <dir>", "working directory in the guest (default: the image's, else the user's home)")
    .option(
      "-u, --user <user>",
      "user in the guest: NAME or UID, with :GROUP or :GID (default: the image's, else root)",
    )
    .option("--no-tty", "no terminal for the command, even when there is one")
    .passThroughOptions(!hasSeparator)
    .addHelpText(
      "after",
      `
Examples:
  $ firebreak run -- uname -a
  $ echo 'print(6*7)' | firebreak run -- python3 -
  $ firebreak run --workspace . -- make test
  $ firebreak run --memory 1G --timeout 5m -- node -e 'console.log(process.version)'
  $ firebreak run --publish 8080:8000 -- python3 -m http.server`,
    )
    .action((argv: string[], options: RunOptions) =>
      withPlaces(options, async () => {
        const { client, asJson, progress } = await openContext(command);
        const tty = options.tty === false || asJson ? undefined : terminalSize();
        const workspace = await toWorkspace(options);
        // A command that is given a directory is about that directory.
        const cwd =
          options.cwd ?? (workspace === undefined ? undefined : (workspace.guestPath ?? DEFAULT_WORKSPACE_PATH));
        const stream = await client.execs.run(
          {
            vm: {
              ...toVmCreate(options),
              ...(await toNetwork(options, client)),
              ...(workspace === undefined ? {} : { workspace }),
              ...(await toMounts(options.mount)),
            },
            ...toPublish(options),
            exec: {
              ...(argv.length === 0 ? {} : { argv }),
              stdin: true,
              ...(tty === undefined ? {} : { tty }),
              ...(options.timeout === undefined ? {} : { timeoutMs: parseDurationMs("--timeout", options.timeout) }),
              ...(cwd === undefined ? {} : { cwd }),
              ...(options.user === undefined ? {} : { user: options.user }),
            },
          },
          { onProgress: progress.update },
        );
        if ((options.publish ?? []).length > 0)
          stream.onVm = (vm) => void client.forwards.list(vm.id).then(announceForwards, () => {}); // gone with the VM already
        if (asJson) {
          const { collectExec } = await import("../exec-json.ts");
          const result = await collectExec(stream);
          printJson(result.report);
          process.exitCode = result.exitCode;
          return;
        }
        process.exitCode = await runSession(stream, { hasTty: tty !== undefined, hasStdin: true, progress });
        if (workspace !== undefined) await printWorkspaceAfter(client, ({ vm }) => vm.name === stream.vm);
      }),
    );
}

import path from "node:path";
import type { Command } from "commander";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { createPaths, resolvePaths } from "../../platform/paths.ts";
import { installRelease } from "../../vmm/firecracker/release/install.ts";
import { isJson } from "../context.ts";
import { printJson } from "../output.ts";
import { ProgressLine } from "../progress.ts";

export function addSetup(program: Command): void {
  const command = program
    .command("setup")
    .summary("install what firebreak uses of others on this host")
    .description(
      "Install what firebreak uses of others, into FIREBREAK_HOME on this host. A release of Firecracker is verified (digests, architecture, version) and used from then on; of a release's number the archive is downloaded, and FILE needs no network.",
    )
    .option(
      "--firecracker <file|version>",
      "an archive of a release of Firecracker, a firecracker program (a jailer beside it is taken, too), or a version such as 1.16.1",
    )
    .action(async ({ firecracker: source }: { firecracker?: string }) => {
      if (source === undefined) {
        throw new FirebreakError("INVALID_ARGUMENT", "nothing is named that is to be set up", {
          hint: "firebreak setup --firecracker FILE|VERSION",
        });
      }
      const asJson = isJson(command);
      const progress = new ProgressLine(asJson);
      const paths = resolvePaths();
      createPaths(paths);
      const release = await installRelease({ home: paths.home, source, onProgress: progress.update }).finally(() =>
        progress.clear(),
      );
      if (asJson) return printJson(release);
      const what = release.jailer === undefined ? "is" : "and its jailer are";
      process.stdout.write(
        `Firecracker ${release.version} ${what} installed in ${path.dirname(release.firecracker)}\n`,
      );
      if (release.jailer === undefined)
        process.stdout.write(`It came without its jailer: it starts VMs only where that is allowed.\n`);
    });
}

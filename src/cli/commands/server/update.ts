import type { Command } from "commander";
import type { Server, ServerUpdated } from "../../../contract/server.ts";
import { type ErrorBody, FirebreakError, toFirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printError, printJson } from "../../output.ts";

/** Of the whole when some of several could not be updated. */
const EXIT_SOME_FAILED = 7;

export function addServerUpdate(parent: Command): void {
  const command = parent
    .command("update")
    .summary("install MCP servers anew")
    .description(
      "Install MCP servers anew, in build VMs, and look where the tags of their images lead now; say which packages and images that changes. What they offer then and has not been approved waits for that: 'server approve'. Ends with 7 when some of several could not be updated.",
    )
    .argument("[servers...]", "names (default: all that have been installed)")
    .option("--dry-run", "only say what would change")
    .action(async (names: string[], { dryRun = false }: { dryRun?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const installed = (await client.servers.list()).filter(isInstalled);
      const all = names.length > 0 ? names : installed.map((server) => server.name);
      const updates: ServerUpdated[] = [];
      const failures: { name: string; error: ErrorBody }[] = [];
      for (const name of all) {
        try {
          const update = await client.servers
            .update(name, dryRun, { onProgress: progress.update })
            .finally(() => progress.clear());
          updates.push(update);
          if (!asJson) process.stdout.write(describeUpdate(update));
        } catch (thrown) {
          // One that fails keeps no other from its update.
          if (all.length === 1) throw thrown;
          const error = toFirebreakError(thrown);
          failures.push({ name, error: error.toBody() });
          const { code, message, hint } = error;
          if (!asJson)
            printError(new FirebreakError(code, `${name}: ${message}`, hint === undefined ? {} : { hint }), false);
        }
      }
      if (failures.length > 0) process.exitCode = EXIT_SOME_FAILED;
      if (asJson) printJson({ updates, failures });
      else if (all.length === 0)
        process.stdout.write("No server has been installed from a package or an image: there is nothing to update.\n");
    });
}

/** Its image is known by digest since it was last installed, which may have been before digests were kept. */
function isInstalled({ packages, image, config, preparedAt }: Server): boolean {
  const namesImage = config.kind === "vm" && config.image !== undefined;
  return packages.length > 0 || image !== undefined || (namesImage && preparedAt !== undefined);
}

function describeUpdate({ server, isTrial, changes }: ServerUpdated): string {
  if (changes.length === 0) return `${server}: up to date\n`;
  const lines = changes.map(
    ({ name, from, to }) =>
      `  ${name}  ${shorten(from ?? "new")} -> ${shorten(to ?? "gone")}${from === to ? " (other content)" : ""}`,
  );
  const images = changes.filter(({ from, to }) => isDigest(from) || isDigest(to)).length;
  const what = [count(images, "image"), count(changes.length - images, "package")].filter((each) => each !== "");
  const verb = isTrial ? "would change" : changes.length === 1 ? "has changed" : "have changed";
  return `${[`${server}: ${what.join(" and ")} ${verb}`, ...lines].join("\n")}\n`;
}

function count(number: number, noun: string): string {
  return number === 0 ? "" : `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const isDigest = (text: string | undefined) => /^sha256:[0-9a-f]{64}$/.test(text ?? "");
/** Enough to tell them apart; --json has all of it. */
const shorten = (text: string) => (isDigest(text) ? text.slice(0, 19) : text);

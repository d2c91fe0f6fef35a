import type { Command } from "commander";
import { FirebreakError, toFirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addVmDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete VMs with their disks, running or not.")
    .argument("[vms...]", "names or ids")
    .option("-a, --all", "all VMs")
    .action(async (names: string[], options: { all?: boolean }) => {
      if (names.length === 0 && !options.all) {
        throw new FirebreakError("INVALID_ARGUMENT", "no VM was named", { hint: "Name one or more, or use --all." });
      }
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.vmList()).map((vm) => vm.id) : names;
      const outcomes = await Promise.allSettled(targets.map((name) => client.vmDelete(name)));
      const deleted = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.deleted] : []));
      if (asJson) printJson({ deleted });
      else for (const name of deleted) process.stdout.write(`${name}\n`);
      const failed = outcomes.find((outcome) => outcome.status === "rejected");
      if (failed !== undefined) throw toFirebreakError(failed.reason);
    });
}

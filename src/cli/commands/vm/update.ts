import type { Command } from "commander";
import type { VmUpdate } from "../../../contract/vm.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { parseDurationMs, parseLabels } from "../../parse.ts";
import { collect, toLifetime } from "../vm-options.ts";

interface UpdateOptions {
  name?: string;
  label?: string[];
  unlabel?: string[];
  restart?: string;
  idleTimeout?: string;
  maxLifetime?: string;
  onExpiry?: string;
}

export function addVmUpdate(parent: Command): void {
  const command = parent
    .command("update")
    .description("Change a VM's name, labels, restart policy or time limits, whatever its state.")
    .argument("<vm>", "name or id")
    .option("--name <name>", "its new name; the guest's hostname is that of its next start")
    .option("-l, --label <key=value>", "set a label (repeatable)", collect)
    .option("--unlabel <key>", "take a label away (repeatable)", collect)
    .option("--restart <policy>", "never, on-failure[:N] or always")
    .option("--idle-timeout <time>", "suspend it when nobody has used it for this long; never for no timeout")
    .option("--max-lifetime <time>", "from now on; never for no limit")
    .option("--on-expiry <action>", "stop, suspend or delete")
    .action(async (name: string, options: UpdateOptions) => {
      const changes = toUpdate(options);
      if (Object.keys(changes).length === 0)
        throw new FirebreakError("INVALID_ARGUMENT", "nothing to change was given", {
          hint: "See: firebreak vm update --help",
        });
      const { client, asJson } = await openContext(command);
      const vm = await client.vms.update(name, changes);
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} has been updated\n`);
    });
}

function toUpdate(options: UpdateOptions): VmUpdate {
  const { maxLifetime, idleTimeout, ...rest } = options;
  const labels = {
    ...parseLabels(options.label ?? []),
    ...Object.fromEntries((options.unlabel ?? []).map((key) => [key, null])),
  };
  const lasting = maxLifetime === undefined || maxLifetime === "never" ? {} : { maxLifetime };
  return {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...toLifetime({ ...rest, ...lasting }),
    ...(maxLifetime === "never" ? { maxLifetimeMs: null } : {}),
    ...(idleTimeout === undefined
      ? {}
      : { idleTimeoutMs: idleTimeout === "never" ? null : parseDurationMs("--idle-timeout", idleTimeout) }),
  };
}

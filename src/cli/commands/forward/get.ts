import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { hostEnd } from "../../forward-spec.ts";
import { formatAge, formatBytes, printFacts, printJson } from "../../output.ts";

export function addForwardGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one port forward: whether it listens, what has come through, and why the last one did not.")
    .argument("<forward>", "id")
    .action(async (id: string) => {
      const { client, asJson } = await openContext(command);
      const forward = await client.forwards.get(id);
      if (asJson) return printJson(forward);
      const { connections, bytes, notice } = forward;
      printFacts([
        ["id", forward.id],
        ["vm", `${forward.vm.name} (${forward.vm.id})`],
        ["host", hostEnd(forward)],
        ["guest port", String(forward.guestPort)],
        ["state", forward.reason === undefined ? forward.state : `${forward.state}: ${forward.reason}`],
        ["warning", forward.warning],
        ["connections", `${connections.open} open, ${connections.total} in all, ${connections.refused} closed at once`],
        ["to the VM", formatBytes(bytes.toGuest)],
        ["from the VM", formatBytes(bytes.fromGuest)],
        ["notice", notice === undefined ? undefined : `${notice.message} (${formatAge(notice.at)} ago)`],
        ["created", `${forward.createdAt} (${formatAge(forward.createdAt)} ago)`],
      ]);
    });
}

import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { parseForward, printForward } from "../../forward-spec.ts";
import { printJson } from "../../output.ts";

export function addForwardCreate(parent: Command): void {
  const command = parent
    .command("create")
    .summary("open a port of this host to a port of a VM")
    .description(
      "Open a TCP port of this host behind which a port of a VM is. It listens on 127.0.0.1 unless an address is named, follows the VM through stop, start and suspension (a connection brings a suspended VM back), and goes with the VM. What is to be reached has to listen in the VM, on any of its addresses.",
    )
    .argument("<vm>", "name or id")
    .argument("<ports>", "[[HOST_ADDRESS:]HOST_PORT:]GUEST_PORT; without a host port, or with 0, a free one")
    .action(async (vm: string, ports: string) => {
      const request = parseForward(ports);
      const { client, asJson } = await openContext(command);
      const forward = await client.forwards.create(vm, request);
      if (asJson) printJson(forward);
      else printForward(forward);
    });
}

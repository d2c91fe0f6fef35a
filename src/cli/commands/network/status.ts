import type { Command } from "commander";
import type { NatStatus } from "../../../contract/nat.ts";
import { openContext } from "../../context.ts";
import { printFacts, printJson } from "../../output.ts";

export function addNetworkStatus(parent: Command): void {
  const command = parent
    .command("status")
    .description("Show how this host is set up for VMs with a network card, and what is not as it should be.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const status = await client.network.status();
      if (asJson) printJson(status);
      else printNetwork(status);
    });
}

export function printNetwork(status: NatStatus): void {
  if (!status.isSetUp) {
    process.stdout.write("not set up; VMs with names need nothing. For network cards: firebreak network setup\n");
    return;
  }
  const { kind, subnet, gateway, nameservers, vms, drift, lastRepair } = status;
  printFacts([
    ["kind", kind === "user" ? "user-mode: VMs reach what listens on this host's loopback" : "a bridge and nftables"],
    ["subnet", subnet],
    ["gateway", gateway],
    ["name servers", nameservers.join(", ")],
    ["VMs", vms.map(({ vm, address }) => `${vm} (${address})`).join(", ") || undefined],
    ["to be repaired", drift.join("; ") || undefined],
    ["last repair", lastRepair === undefined ? undefined : `${lastRepair.at}: ${lastRepair.what.join("; ")}`],
  ]);
}

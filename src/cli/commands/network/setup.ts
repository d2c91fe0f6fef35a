import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { collect } from "../vm-options.ts";
import { printNetwork } from "./status.ts";

interface SetupOptions {
  user?: boolean;
  subnet?: string;
  nameserver?: string[];
}

export function addNetworkSetup(parent: Command): void {
  const command = parent
    .command("setup")
    .summary("prepare this host for VMs with a network card")
    .description(
      "Prepare this host for VMs with a network card: a bridge (fbbr0), packet forwarding, and two tables of nftables (inet and netdev firebreak), which are looked after from then on. 'network teardown' takes all of it back.",
    )
    .option(
      "--user",
      "QEMU's own networking instead, without root: no rules hold, and VMs reach what listens on this host's loopback",
    )
    .option(
      "--subnet <range>",
      "the private network that VMs get addresses of (default: what is set up, or 10.201.0.0/16)",
    )
    .option(
      "--nameserver <address>",
      "what VMs ask for names, instead of this host's name servers (repeatable); 'none': they ask nobody, and no names carry data out",
      collect,
    )
    .action(async (options: SetupOptions) => {
      const { client, asJson } = await openContext(command);
      const nameservers = options.nameserver?.join() === "none" ? [] : options.nameserver;
      const status = await client.network.setUp({
        kind: options.user === true ? "user" : "tap",
        ...(options.subnet === undefined ? {} : { subnet: options.subnet }),
        ...(nameservers === undefined ? {} : { nameservers }),
      });
      if (asJson) printJson(status);
      else printNetwork(status);
    });
}

import type { Command } from "commander";
import { addNetworkSetup } from "./setup.ts";
import { addNetworkStatus } from "./status.ts";
import { addNetworkTeardown } from "./teardown.ts";

export function addNetworkCommands(program: Command): void {
  const network = program
    .command("network")
    .description("what this host needs for VMs with a network card (--network nat); names need none of it");
  for (const add of [addNetworkSetup, addNetworkStatus, addNetworkTeardown]) add(network);
}

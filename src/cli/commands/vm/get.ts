import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printFacts, printJson } from "../../output.ts";
import { vmFacts } from "../vm-facts.ts";

export function addVmGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one VM: what it is made of, its state, its forwards, and what it uses.")
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const vm = await client.vms.get(name);
      const forwards = await client.forwards.list(vm.id);
      const stats = vm.state === "running" ? await client.vms.stats(vm.name).catch(() => undefined) : undefined;
      if (asJson) return printJson({ ...vm, forwards, ...(stats === undefined ? {} : { stats }) });
      const snapshots = vm.snapshot === undefined ? [] : await client.snapshots.list();
      printFacts(vmFacts({ vm, snapshots, forwards, stats: stats?.guest }));
    });
}

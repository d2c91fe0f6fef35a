import type { Command } from "commander";
import { describePolicy } from "../../../contract/policy.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { addNetworkOptions, type NetworkOptionValues, toPolicy } from "../network-options.ts";

export function addVmPolicy(parent: Command): void {
  const policy = parent.command("policy").description("what a VM may reach");
  addGet(policy);
  addSet(policy);
}

function addGet(parent: Command): void {
  const command = parent
    .command("get")
    .description("Show what a VM may reach.")
    .argument("<vm>", "name or id")
    .action(async (vm: string) => {
      const { client, asJson } = await openContext(command);
      const answer = await client.vmPolicy(vm);
      if (asJson) return printJson(answer);
      process.stdout.write(`${describePolicy(answer.policy).join("\n")}\n`);
      for (const warning of answer.warnings) process.stderr.write(`Note: ${warning}\n`);
    });
}

function addSet(parent: Command): void {
  const command = addNetworkOptions(
    parent
      .command("set")
      .description(
        "Change what a VM may reach, as it runs: all of it, so that what is not given is gone. Connections that both policies allow go on.",
      )
      .argument("<vm>", "name or id"),
  ).action(async (name: string, options: NetworkOptionValues) => {
    const policy = await toPolicy(options);
    const { client, asJson } = await openContext(command);
    const vm = await client.vmPolicySet(name, policy);
    if (asJson) return printJson(vm);
    process.stdout.write(`${describePolicy(vm.network).join("\n")}\n`);
  });
}

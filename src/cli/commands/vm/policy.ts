import type { Command } from "commander";
import { describePolicy } from "../../../contract/policy.ts";
import { describeGrants } from "../../../contract/secret.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { addNetworkOptions, type NetworkOptionValues, toPolicyAndGrants, withPlaces } from "../network-options.ts";

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
      const answer = await client.policies.get(vm);
      if (asJson) return printJson(answer);
      process.stdout.write(`${[...describePolicy(answer.policy), ...describeGrants(answer.secrets)].join("\n")}\n`);
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
  )
    .option("--no-secrets", "it may use none any more; without this and --secret, those that it has stay")
    .action(async (name: string, options: NetworkOptionValues) => {
      const { client, asJson } = await openContext(command);
      const { policy, secrets } = await toPolicyAndGrants(options, client);
      const vm = await withPlaces(options, () =>
        client.policies.set(name, { ...policy, ...(secrets === undefined ? {} : { secrets }) }),
      );
      if (asJson) return printJson(vm);
      process.stdout.write(`${[...describePolicy(vm.network), ...describeGrants(vm.secrets)].join("\n")}\n`);
    });
}

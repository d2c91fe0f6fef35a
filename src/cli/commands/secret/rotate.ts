import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { readSecret, type SecretSourceOptions } from "../../secret-source.ts";
import { addSourceOptions } from "./set.ts";

export function addSecretRotate(parent: Command): void {
  const command = addSourceOptions(
    parent
      .command("rotate")
      .description("Give a secret another value. Running VMs use it with their next request; their placeholder stays.")
      .argument("<name>"),
  ).action(async (name: string, options: SecretSourceOptions) => {
    const { client, asJson } = await openContext(command);
    await client.secrets.get(name);
    const secret = await client.secrets.rotate(name, await readSecret(name, options));
    if (asJson) return printJson(secret);
    process.stdout.write(`${secret.name} has another value\n`);
  });
}

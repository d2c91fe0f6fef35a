import type { Command } from "commander";
import { parsePushReference } from "../../../contract/image-reference.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";
import { addRegistryOptions, findLogin, parseTlsVerify, type RegistryOptions } from "../registry-options.ts";

export function addImagePush(parent: Command): void {
  const command = parent
    .command("push")
    .summary("publish an image in a registry")
    .description(
      "Publish an image in a registry, as an OCI image of one layer with its files, owners and modes, and its command, environment and user. The login is found as by 'image pull'.",
    )
    .argument("<image>", "a name, a digest, or the beginning of one")
    .argument("<reference>", "REGISTRY/REPOSITORY[:TAG], such as ghcr.io/owner/tools:1");
  addRegistryOptions(command).action(async (image: string, reference: string, options: RegistryOptions) => {
    parsePushReference(reference);
    const tlsVerify = parseTlsVerify(options);
    const login = await findLogin("push", reference, options);
    const { client, asJson, progress } = await openContext(command);
    const request = { reference, ...(tlsVerify === undefined ? {} : { tlsVerify }) };
    const pushed = await client.images
      .push(image, request, login, { onProgress: progress.update })
      .finally(() => progress.clear());
    if (asJson) return printJson(pushed);
    process.stdout.write(`${stripControl(pushed.reference)} is ${pushed.digest} (${formatBytes(pushed.layerBytes)})\n`);
  });
}

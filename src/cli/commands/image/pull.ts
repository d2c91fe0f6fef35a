import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printImageResult } from "../../image-result.ts";
import { addRegistryOptions, findLogin, parseTlsVerify, type RegistryOptions } from "../registry-options.ts";

interface PullOptions extends RegistryOptions {
  name?: string;
  platform?: string;
  force?: boolean;
}

export function addImagePull(parent: Command): void {
  const command = parent
    .command("pull")
    .summary("get an image from a registry, or from an OCI or Docker archive")
    .description(
      "Get a container image and make it one that VMs boot. Nothing of it is run. The login is that of docker or podman, if there is one; with a daemon on another host only one that is given.",
    )
    .argument("<source>", "REFERENCE, oci:DIR[:IMAGE], oci-archive:FILE[:IMAGE] or docker-archive:FILE[:IMAGE]")
    .option("-n, --name <name>", "its name here (default: the last part of the reference)")
    .option("--platform <os/arch>", "which of a list of images (default: linux/amd64)")
    .option("--force", "get it even when it is there");
  addRegistryOptions(command).action(async (source: string, options: PullOptions) => {
    const { openArchive, parseSource } = await import("../../image-source.ts");
    const parsed = parseSource(source);
    const login = parsed.kind === "registry" ? await findLogin("pull", parsed.reference, options) : undefined;
    const tlsVerify = parseTlsVerify(options);
    const settings = {
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.platform === undefined ? {} : { platform: options.platform }),
    };
    const { client, asJson, progress } = await openContext(command);
    const call = { onProgress: progress.update };
    const pull = async () => {
      if (parsed.kind === "registry") {
        const extra = {
          ...(tlsVerify === undefined ? {} : { tlsVerify }),
          ...(options.force ? { force: true } : {}),
        };
        return client.images.pull({ reference: parsed.reference, ...settings, ...extra }, login, call);
      }
      const archive = await openArchive(parsed, progress.update);
      const reference = parsed.image === undefined ? {} : { reference: parsed.image };
      return client.images.import({ format: archive.format, ...reference, ...settings }, archive.body, call);
    };
    printImageResult(await pull().finally(() => progress.clear()), "there", asJson);
  });
}

import type { Command } from "commander";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printImageResult } from "../../image-result.ts";
import { parseCount, parseMib } from "../../parse.ts";

interface BuildOptions {
  force?: boolean;
  file?: string;
  name?: string;
  memory?: string;
  cpus?: string;
  disk?: string;
}

export function addImageBuild(parent: Command): void {
  const command = parent
    .command("build")
    .summary("build an image: a built-in one, or one from a build file")
    .description(
      "Build a built-in image and fetch the guest kernel; what is up to date is left alone.\nWith --file, build one from a build file: a Dockerfile of FROM (an image that is here), RUN, COPY, ENV, WORKDIR, USER, ENTRYPOINT and CMD. Its\ninstructions are done in a microVM, which has no network.",
    )
    .argument("[name]", "the recipe (debian), or with --file the directory that COPY copies from (.)")
    .option("--force", "build a built-in image even when it is up to date")
    .option("-f, --file <file>", "the build file, in the directory or below")
    .option("-n, --name <name>", "the image's name, with --file")
    .option("-m, --memory <size>", "memory of the VM that it is built in (default: 512)")
    .option("-c, --cpus <n>", "its virtual CPUs (default: 1)")
    .option("-d, --disk <size>", "what the build may write (default: 2048)")
    .action(async (name: string | undefined, options: BuildOptions) => {
      const work = options.file === undefined ? undefined : await prepare(options.file, name ?? ".", options);
      const { client, asJson, progress } = await openContext(command);
      const call = { onProgress: progress.update };
      const build = async () => {
        if (work === undefined) return client.images.build(name ?? "debian", options.force ?? false, call);
        return client.images.buildFile(work.request, await work.open(progress.update), call);
      };
      printImageResult(await build().finally(() => progress.clear()), "built", asJson);
    });
}

async function prepare(file: string, folder: string, options: BuildOptions) {
  const { openBuildContext } = await import("../../image-source.ts");
  if (options.name === undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "the image needs a name", { hint: "Give it one: --name NAME" });
  const { inContext, open } = await openBuildContext(folder, file);
  const request = {
    name: options.name,
    file: inContext,
    ...(options.memory === undefined ? {} : { memoryMib: parseMib("--memory", options.memory) }),
    ...(options.cpus === undefined ? {} : { cpus: parseCount("--cpus", options.cpus) }),
    ...(options.disk === undefined ? {} : { diskMib: parseMib("--disk", options.disk) }),
  };
  return { request, open };
}

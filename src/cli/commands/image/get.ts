import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printFacts, printJson } from "../../output.ts";

export function addImageGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one image: where it is from, how it is to be used, and what uses it.")
    .argument("<image>", "a name, a digest, or the beginning of one")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const image = await client.images.get(name);
      if (asJson) return printJson(image);
      const words = (list: string[]) => (list.length === 0 ? undefined : JSON.stringify(list));
      printFacts([
        ["names", image.tags.join(", ") || "-"],
        ["digest", image.digest],
        ["size", formatBytes(image.sizeBytes)],
        ["format", `${image.format}, ${image.arch}`],
        ["made by", image.recipe],
        ["pulled from", image.source?.reference],
        ["as", image.source?.digest],
        ["entrypoint", words(image.config.entrypoint)],
        ["command", words(image.config.cmd)],
        ["directory", image.config.workingDir],
        ["user", image.config.user],
        ...Object.entries(image.env).map(([key, value]): [string, string] => ["env", `${key}=${value}`]),
        ...image.usedBy.map(({ kind, name: user }): [string, string] => ["used by", `${kind} ${user}`]),
        ["age", formatAge(image.createdAt)],
      ]);
    });
}

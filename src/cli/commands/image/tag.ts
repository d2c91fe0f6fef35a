import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addImageTag(parent: Command): void {
  const command = parent
    .command("tag")
    .description("Give an image one more name. A name that another image has is taken from it.")
    .argument("<image>", "a name, a digest, or the beginning of one")
    .argument("<name>", "the new name, such as tools or tools:2")
    .action(async (image: string, name: string) => {
      const { client, asJson } = await openContext(command);
      const tagged = await client.images.tag(image, name);
      if (asJson) return printJson(tagged);
      process.stdout.write(`${name} is ${tagged.digest.slice(0, 19)}\n`);
    });
}

export function addImageUntag(parent: Command): void {
  const command = parent
    .command("untag")
    .description("Take a name from its image. The image stays; 'image prune' deletes those that have none.")
    .argument("<name>", "the name")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const image = await client.images.untag(name);
      if (asJson) return printJson(image);
      const left = image.tags.length === 0 ? "has no name any more" : `is still called ${image.tags.join(", ")}`;
      process.stdout.write(`${image.digest.slice(0, 19)} ${left}\n`);
    });
}

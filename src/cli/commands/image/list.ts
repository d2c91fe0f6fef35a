import type { Command } from "commander";
import type { ImageInfo } from "../../../contract/image.ts";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson, printTable } from "../../output.ts";

export function addImageList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all images, the newest first, with all names of each and what uses it.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const listing = await client.images.listing();
      const { images, making } = listing;
      if (asJson) return printJson(listing);
      for (const name of making) process.stderr.write(`${name} is being made, and is listed once it is there.\n`);
      if (images.length === 0 && making.length > 0) return;
      if (images.length === 0)
        return void process.stdout.write(
          "No images. The first VM builds the default one; now: firebreak image build debian\n",
        );
      printTable(
        ["NAMES", "DIGEST", "SIZE", "SOURCE", "USED BY", "AGE"],
        images.map((image) => [
          image.tags.join(", ") || "-",
          image.digest.slice(0, 19),
          formatBytes(image.sizeBytes),
          image.source?.reference ?? image.recipe,
          summarizeUsers(image),
          formatAge(image.createdAt),
        ]),
      );
    });
}

/** `2 vms, 1 template` */
function summarizeUsers({ usedBy }: ImageInfo): string {
  const counts = ["vm", "snapshot", "template"].flatMap((kind) => {
    const count = usedBy.filter((user) => user.kind === kind).length;
    return count === 0 ? [] : [`${count} ${kind}${count === 1 ? "" : "s"}`];
  });
  return counts.join(", ") || "-";
}

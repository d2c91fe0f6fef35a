import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson, printTable } from "../../output.ts";

export function addArtifactList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all artifacts.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const artifacts = await client.artifacts.list();
      if (asJson) return printJson({ artifacts });
      if (artifacts.length === 0)
        return void process.stdout.write("No artifacts. Keep a file of a VM: firebreak artifact create VM PATH\n");
      printTable(
        ["NAME", "VM", "PATH", "TYPE", "SIZE", "AGE", "ID"],
        artifacts.map((artifact) => [
          artifact.name,
          artifact.vm.name,
          artifact.path,
          artifact.mediaType,
          formatBytes(artifact.sizeBytes),
          formatAge(artifact.createdAt),
          artifact.id,
        ]),
      );
    });
}

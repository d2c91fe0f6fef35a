import type { Command } from "commander";
import { describePolicy } from "../../../contract/policy.ts";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, formatDuration, printFacts, printJson } from "../../output.ts";

export function addSnapshotGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one snapshot: what it is of, what it needs, and what it descends from.")
    .argument("<snapshot>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const snapshot = await client.snapshots.get(name);
      if (asJson) return printJson(snapshot);
      const ancestors = snapshot.ancestors.map((ancestor) => ancestor.name);
      printFacts([
        ["name", snapshot.name],
        ["id", snapshot.id],
        ["vm", `${snapshot.vm.name} (${snapshot.vm.id})`],
        ["created", `${snapshot.createdAt} (${formatAge(snapshot.createdAt)} ago)`],
        ["size", formatBytes(snapshot.sizeBytes)],
        ["stopped for", formatDuration(snapshot.stoppedMs)],
        ["image", `${snapshot.image} (${snapshot.imageDigest.slice(0, 19)})`],
        ["kernel", snapshot.kernelId],
        ["memory", `${snapshot.memoryMib} MiB`],
        ["cpus", String(snapshot.cpus)],
        ["disk", `${snapshot.diskMib} MiB`],
        ["needs", `${snapshot.driver} ${snapshot.driverVersion}, ${snapshot.accel}`],
        ["network", describePolicy(snapshot.policy).join("; ")],
        ["descends from", ancestors.length === 0 ? undefined : ancestors.join(", ")],
      ]);
    });
}

import type { CompleteResult } from "@modelcontextprotocol/server";
import type { VmClient } from "../vm-client.ts";

/** The protocol's bound. */
const MAX_VALUES = 100;

/** Values for an argument that has been typed in part: names of VMs, snapshots and artifacts; nothing for any other. */
export async function completeArgument(
  argument: { name: string; value: string },
  client: Pick<VmClient, "vms" | "snapshots" | "artifacts">,
  signal: AbortSignal,
): Promise<CompleteResult["completion"]> {
  const things =
    argument.name === "vm"
      ? await client.vms.list({ signal })
      : argument.name === "snapshot"
        ? await client.snapshots.list({ signal })
        : argument.name === "artifact"
          ? await client.artifacts.list({ signal })
          : [];
  const values = things
    .map(({ name }) => name)
    .filter((name) => name.startsWith(argument.value))
    .sort();
  return { values: values.slice(0, MAX_VALUES), total: values.length, hasMore: values.length > MAX_VALUES };
}

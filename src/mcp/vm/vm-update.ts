import { z } from "zod";
import {
  labelsSchema,
  MAX_IDLE_TIMEOUT_MS,
  MAX_LABELS,
  MAX_LIFETIME_MS,
  nameSchema,
  vmUpdateSchema,
} from "../../contract/vm.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { limitArguments, toLimits } from "./limits.ts";
import { describeRestart, describeVm, toVmState } from "./vm-view.ts";

const SECOND_MS = 1000;

export const vmUpdate = defineTool({
  name: "vm_update",
  title: "Change a VM",
  description: "Changes a VM's name, labels, restart policy or limits, whatever its state; what is not given stays.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    vm: vmArgument,
    name: nameSchema.optional().describe("Its new name."),
    labels: labelsSchema.optional().describe("Added to those that it has."),
    remove_labels: z.array(z.string().max(63)).max(MAX_LABELS).optional().describe("Keys of labels to take away."),
    restart: limitArguments.restart,
    max_restarts: limitArguments.max_restarts.describe("With restart."),
    idle_timeout_seconds: secondsUpTo(MAX_IDLE_TIMEOUT_MS).describe("Suspend it when unused for this long; 0: never."),
    max_lifetime_seconds: secondsUpTo(MAX_LIFETIME_MS).describe("From now on; 0: no limit."),
    on_expiry: limitArguments.on_expiry,
  }),
  outputSchema: z.strictObject({
    vm: z.string(),
    state: z.string(),
    labels: z.record(z.string(), z.string()),
    restart: z.string(),
    idle_timeout_seconds: z.number().optional(),
    expires_at: z.string().optional(),
  }),
  handler: async ({ vm: nameOrId, name, restart, max_restarts, on_expiry, ...args }, { client, signal }) => {
    const labels = { ...args.labels, ...Object.fromEntries((args.remove_labels ?? []).map((key) => [key, null])) };
    const changes = vmUpdateSchema.parse({
      ...toLimits({ restart, max_restarts, on_expiry }),
      ...(name === undefined ? {} : { name }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(args.idle_timeout_seconds === undefined ? {} : { idleTimeoutMs: orNull(args.idle_timeout_seconds) }),
      ...(args.max_lifetime_seconds === undefined ? {} : { maxLifetimeMs: orNull(args.max_lifetime_seconds) }),
    });
    const vm = await client.vms.update(nameOrId, changes, { signal });
    const structured = {
      ...toVmState(vm),
      labels: vm.labels,
      restart: describeRestart(vm),
      ...(vm.idleTimeoutMs === undefined ? {} : { idle_timeout_seconds: vm.idleTimeoutMs / SECOND_MS }),
      ...(vm.expiresAt === undefined ? {} : { expires_at: vm.expiresAt }),
    };
    return { structured, vm: vm.name, facts: ["changed", vm.state], text: describeVm(vm) };
  },
});

function secondsUpTo(maxMs: number) {
  return z
    .int()
    .min(0)
    .max(maxMs / SECOND_MS)
    .optional();
}

/** No limit is null to the daemon; to a caller, a number that no limit can be. */
function orNull(seconds: number): number | null {
  return seconds === 0 ? null : seconds * SECOND_MS;
}
